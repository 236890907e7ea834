# Has the target reboot in $1 seconds, by something that outlives this script.
sync
if [ -d /run/systemd/system ]; then
	systemd-run --quiet --collect --on-active="$1" --timer-property=AccuracySec=100ms systemctl --no-ask-password reboot || exit 1
elif command -v reboot >/dev/null 2>&1; then
	setsid sh -c 'sleep "$1"; exec reboot' sh "$1" </dev/null >/dev/null 2>&1 &
else
	echo "neither systemd nor reboot is here"
	exit 1
fi
echo "reboots in $1 s"
