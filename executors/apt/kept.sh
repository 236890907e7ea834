# Before the patch, when what will be needed is kept: DIR, and the packages.
stash=$1/debs
look "$1"
shift
known "$@"
while [ $# -ge 4 ]; do
	origin "$@"
	[ -n "$from" ] || say gone "$1 $2 $3"
	shift 4
done
exit 0
