# look.sh before STASH SUMS [PATTERN]...: what a preflight has to know before the
# patch: what it would replace, and whether that could be had again.
# look.sh undo STASH SUMS [REF FILE]...: what zypper would do to undo it.
ZYPP_LOCK_TIMEOUT=5
mode=$1 stash=$2 sums=$3
shift 3
printf '=begin\n'
for tool in zypper rpm awk sha256sum; do
	command -v "$tool" >/dev/null || { printf '=missing %s\n=end\n' "$tool"; exit 0; }
done
[ "$(id -u)" = 0 ] || { printf '=unprivileged\n=end\n'; exit 0; }
if command -v transactional-update >/dev/null && [ ! -w /usr ]; then printf '=transactional\n'; fi
say version zypper --version
say rpm installed
if [ -n "$sums" ] && ! whole "$stash" "$sums"; then printf '=spoilt\n'; sums=; fi
if [ "$mode" = before ]; then
	ask update --dry-run
	say update again
	refs=$(refs "$@")
	if [ -n "$refs" ]; then
		# shellcheck disable=SC2086 # each is one word of harmless letters
		ask --no-refresh download --dry-run -- $refs
		say download again
	fi
else
	n=$(($# / 2))
	while [ $n -gt 0 ]; do
		if [ -n "$sums" ] && [ -e "$stash/$2" ]; then set -- "$@" "$stash/$2"; else set -- "$@" "$1"; fi
		shift 2
		n=$((n - 1))
	done
	say refresh zypp refresh
	# shellcheck disable=SC2046 # nothing, or one option
	ask --no-refresh install --oldpackage --no-recommends --auto-agree-with-licenses $(unsigned) --dry-run -- "$@"
	say try again
fi
printf '=end\n'
