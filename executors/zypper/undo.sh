# undo.sh HOLD STASH SUMS N [REF FILE]...(N) [ARGUMENT OF HOLD]...: one transaction,
# then the locks.
set -u
hold=$1 stash=$2 sums=$3 n=$4
shift 4
if [ -n "$sums" ] && ! whole "$stash" "$sums"; then
	echo "backout: the kept packages are not as they were: the repositories are used"
	sums=
fi
m=$(($# - 2 * n))
i=$n
while [ "$i" -gt 0 ]; do
	if [ -n "$sums" ] && [ -e "$stash/$2" ]; then set -- "$@" "$stash/$2"; else set -- "$@" "$1"; fi
	shift 2
	i=$((i - 1))
done
# Now those of the lock come first; they go last.
i=$m
while [ "$i" -gt 0 ]; do
	set -- "$@" "$1"
	shift
	i=$((i - 1))
done
take() (
	i=$m
	k=$n
	while [ "$k" -gt 0 ]; do
		set -- "$@" "$1"
		shift
		k=$((k - 1))
	done
	shift "$i"
	# shellcheck disable=SC2046 # nothing, or one option
	zypp --no-refresh install --oldpackage --no-recommends --download-in-advance --auto-agree-with-licenses $(unsigned) -- "$@" </dev/null
)
rc=0
if [ "$n" -gt 0 ]; then
	take "$@"
	rc=$?
	# The package manager itself was changed: what is left needs another run.
	[ $rc -ne 103 ] || { take "$@"; rc=$?; }
fi
case $rc in 0 | 102 | 103 | 106 | 107) ;; *) exit "$rc" ;; esac
shift "$n"
if [ $# -gt 0 ]; then sh -c "$hold" sh "$@" </dev/null || exit 90; fi
exit "$rc"
