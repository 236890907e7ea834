# How far it is: HOLD CHANGE N, three words for each that is to be held, and the
# packages.
hold=$1 change=$2 n=$3 holds=
shift 3
while [ "$n" -gt 0 ]; do
	holds="$holds $1 $2 $3" n=$((n - 1))
	shift 3
done
say apt "$(apt-get --version | head -n 1)"
known "$@"
lines pkg "$status"
spare=
while [ $# -ge 4 ]; do
	if [ -z "$3" ] && at "$1" "$2" ""; then
		full "$1" "$2"
		spare="$spare $f"
	fi
	shift 4
done
# What the patch added may stay where something else needs it by now.
if [ -n "$spare" ]; then
	apt_get -s remove -- $spare | spare=$spare awk '
		BEGIN { n = split(ENVIRON["spare"], a, " "); for (i = 1; i <= n; i++) ours[a[i]] = 1 }
		($1 == "Remv" || $1 == "Purg") && !($2 in ours) { print $2 }' | tag needs
fi
[ -z "$holds" ] || sh -c "$hold" sh look apt "$change" $holds </dev/null 2>&1 | tag hold
[ ! -e /run/reboot-required ] || say reboot "$(head -c 300 /run/reboot-required.pkgs 2>/dev/null | tr '\n' ' ')"
if command -v needrestart >/dev/null; then
	needrestart -b -r l 2>/dev/null </dev/null | sed -n 's/^NEEDRESTART-SVC: *//p' | tag restart
fi
for u in apt-daily-upgrade.timer unattended-upgrades.service; do
	systemctl is-active --quiet "$u" 2>/dev/null && say updater "$u"
done
exit 0
