# prepare.sh STASH [PATTERN]...: keeps what the patch would replace.
set -u
stash=$1
shift
command -v zypper >/dev/null || { echo "backout: zypper is not installed" >&2; exit 1; }
umask 077
rm -rf -- "$stash.new"
mkdir -p -- "$stash.new/cache" || exit 1
ask update --dry-run
case $rc in 0 | 100 | 101 | 102 | 103) ;; *) printf '%s\n' "$out"; exit "$rc" ;; esac
refs=$(refs "$@")
if [ -n "$refs" ]; then
	# shellcheck disable=SC2086 # each is one word of harmless letters
	zypp --no-refresh --pkg-cache-dir "$stash.new/cache" download -- $refs </dev/null
	find "$stash.new/cache" -name '*.rpm' -exec mv -- {} "$stash.new/" \;
fi
missing=
for ref in $refs; do
	name=$(rpmfile "$ref")
	[ ! -e "$stash.new/$name" ] || continue
	# One that zypper kept when it was installed.
	kept=$(find /var/cache/zypp/packages -name "$name" 2>/dev/null | head -n 1)
	if [ -n "$kept" ]; then cp -- "$kept" "$stash.new/"; else missing="$missing $ref"; fi
done
[ -z "$missing" ] || { echo "backout: not to be had any more:$missing" >&2; exit 104; }
rm -rf -- "$stash.new/cache"
(cd "$stash.new" && for f in *.rpm; do [ ! -e "$f" ] || sha256sum -- "$f"; done >SHA256SUMS) || exit 1
rm -rf -- "$stash"
mv -T -- "$stash.new" "$stash" && sync -f "$stash/SHA256SUMS"
