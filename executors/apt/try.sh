# After the patch: DIR, and the packages. Nothing is changed.
stash=$1/debs
look "$1"
shift
known "$@"
lines pkg "$status"
arrange "$@"
[ -z "$gone" ] && [ -n "$todo" ] || exit 0
settle
say sim-rc "$rc"
[ "$rc" -eq 0 ] || printf '%s\n' "$o" | sed -n '/^Reading /d;/^Building /d;$p;/^E:/p' | sort -u | tag sim
lines extra "$extra"
exit 0
