package attempt

import (
	"fmt"
	"strings"

	"github.com/backout-io/backout"
)

// Script writes shell text for targets that keep their attempts in one place.
// Each text is for "sh -s": it is one compound command, so a shell that gets
// only half of it runs nothing, and it ends the shell.
type Script struct {
	// Dir is the absolute directory of all attempts; empty means the default.
	Dir string
}

// whole wraps text so that the shell parses all of it before it runs any.
func whole(text string) string { return "{\n" + text + "\nexit 0\n}\n" }

// recordSelf is read by the shell whose record it makes: opening /proc/self is
// the shell's own doing as long as nothing but builtins stand there.
const recordSelf = `read -r s </proc/self/stat; s=${s##*) }; set -- $s; shift 19`

// recordClaim leaves the supervisor's record.
const recordClaim = `read -r boot </proc/sys/kernel/random/boot_id || exit 1
` + recordSelf + `
echo "$boot $$ $1" >claim || exit 1`

// recordResult waits for the command and leaves its exit code. What notify says
// comes before it is on disk.
func recordResult(notify string) string {
	return `wait "$p"; rc=$?
[ -e unused ] && exit 0
` + notify + `echo "$rc $(date +%s)" >rc.tmp
sync rc.tmp 2>/dev/null || sync
mv -f rc.tmp rc
sync . 2>/dev/null`
}

// place sets b to the directory of all attempts and d to this one's.
func (s Script) place(id string) string {
	base := `b=/var/lib/backout/attempts
[ "$(id -u)" = 0 ] || b=$HOME/.local/state/backout/attempts`
	if s.Dir != "" {
		base = "b=" + Quote(s.Dir)
	}
	return base + "\nd=$b/" + Quote(id) + "\n"
}

// Unit names the transient unit of an attempt on targets that have systemd.
func Unit(id string) string { return "backout-" + id + ".scope" }

// moveOut moves the supervisor out of the unit it was started in, so that no end
// of a session or service reaches it. Only root may ask systemd for that. Where
// it cannot be had the supervisor stays where it is: it is one process, which
// moves or does not, so nothing can begin twice. Systemd answers before it has
// moved anything, and the command must not be started before.
func moveOut(id string) string {
	return "u=" + Unit(id) + `
inside() { while read -r l; do case $l in */"$u") return 0;; esac; done </proc/self/cgroup; return 1; }
if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ]; then
if timeout 10 busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
StartTransientUnit "ssa(sv)a(sa(sv))" "$u" fail 1 PIDs au 1 $$ 0 >/dev/null 2>&1; then
: >unit
i=0; until inside || [ $i -ge 100 ]; do sleep 0.02 || { sleep 1; i=$((i+19)); }; i=$((i+1)); done
elif systemctl is-active --quiet "$u" 2>/dev/null; then
echo "backout: $u is active although this attempt has only just begun: see systemctl status $u" >>out
: >unused
exit 0
fi
fi`
}

// Start runs the command detached under the attempt's id, once: whoever makes
// the directory starts it, everybody else changes nothing. It ends with 0 when
// the attempt is there.
func (s Script) Start(id string, e backout.Exec) string {
	supervisor := recordClaim + "\n" + moveOut(id) + `
setsid env -i PATH=` + Path + ` HOME="$HOME" LC_ALL=C LANG=C sh ./cmd </dev/null >>out 2>&1 &
p=$!
` + recordResult("")
	command := recordSelf + `
echo "$$ $1" >pid || exit 1
` + Become(e) + "\n"
	return whole(s.place(id) + `umask 077
[ -r /proc/self/stat ] && [ -r /proc/sys/kernel/random/boot_id ] || { echo "no whole /proc here: only Linux targets are supported" >&2; exit 3; }
command -v setsid >/dev/null || { echo "setsid is missing: install util-linux" >&2; exit 3; }
mkdir -p "$b" || exit 3
` + sweep + `
mkdir "$d" 2>/dev/null || { [ -d "$d" ] && exit 0; mkdir "$d"; exit 3; }
sync "$b" 2>/dev/null || sync
cd "$d" || exit 3
printf %s ` + Quote(command) + ` >cmd || { cd / && rm -rf "$d"; exit 3; }
setsid sh -c ` + Quote(supervisor) + ` </dev/null >/dev/null 2>&1 &`)
}

// factsText prints what [ParseFacts] reads. A directory without a claim was
// made a moment ago, or its start was cut: it gets three seconds.
const factsText = `proc() { s=; { read -r s </proc/$1/stat; } 2>/dev/null; s=${s##*) }; set -- $s; [ $# -ge 20 ] || return 1; q=$1; shift 19; q="$q $1"; }
line() { l=; { read -r l <"$d/$1"; } 2>/dev/null; }
facts() {
echo ` + factsBegin + `
read -r l </proc/sys/kernel/random/boot_id; echo "boot=$l"
if [ ! -d "$d" ]; then echo seen=0; echo ` + factsEnd + `; return; fi
i=${waited:-0}; while [ ! -s "$d/claim" ] && [ ! -s "$d/rc" ] && [ $i -lt 30 ]; do sleep 0.1; i=$((i+1)); done
echo seen=1
line claim; echo "claim=$l"; set -- $l; [ $# -eq 3 ] && proc "$2" && echo "supervisor=$q"
line pid; echo "pid=$l"; set -- $l; [ $# -eq 2 ] && proc "$1" && echo "command=$q"
[ -e "$d/unused" ] && echo unused=1
line rc; echo "rc=$l"
echo ` + factsEnd + `
}
`

// Probe prints the attempt's facts.
func (s Script) Probe(id string) string { return whole(s.place(id) + factsText + "facts") }

// Attach copies the output from the offset on to stdout until the attempt ends,
// then prints its facts to stderr. The text ends at once when its stdin does:
// the far end of a lost connection leaves nothing behind.
func (s Script) Attach(id string, offset int64) string {
	return whole(s.place(id) + factsText + fmt.Sprintf("o=%d", offset) + `
exec 3<&0
{ cat <&3 >/dev/null; kill $$; } >/dev/null 2>&1 &
w=$!
moment() { sleep "$1" 2>/dev/null || sleep 1; }
running() {
[ -e "$d/rc" ] && return 1
line claim; set -- $l; [ $# -eq 3 ] && [ "$1" = "$boot" ] || return 1
proc "$2" && [ "${q#* }" = "$3" ] && [ "${q%% *}" != Z ] && return 0
line pid; set -- $l; [ $# -eq 2 ] && proc "$1" && [ "${q#* }" = "$2" ] && [ "${q%% *}" != Z ]
}
read -r boot </proc/sys/kernel/random/boot_id
i=0; while [ -d "$d" ] && [ ! -s "$d/claim" ] && [ ! -s "$d/rc" ] && [ $i -lt 30 ]; do moment 0.1; i=$((i+1)); done
waited=$i i=0
while [ -d "$d" ]; do
e=; running || e=1
n=$(wc -c 2>/dev/null <"$d/out"); n=$((${n:-0}))
if [ "$n" -gt "$o" ]; then tail -c "+$((o+1))" "$d/out" | head -c $((n-o)) || exit 1; o=$n; i=0; fi
[ -n "$e" ] && break
i=$((i+1))
if [ $i -lt 20 ]; then moment 0.05; else moment 0.25; fi
done
kill "$w" 2>/dev/null
facts >&2`)
}

// Grace is how many seconds a stopped process group has between SIGTERM and
// SIGKILL.
const Grace = 10

// StoppedUnstarted is the exit code of an attempt that was stopped before it was
// claimed: that of a command which SIGTERM ended.
const StoppedUnstarted = 128 + 15

// Stop claims the attempt when nobody has, as finished with [StoppedUnstarted],
// so that a start that comes later runs nothing. Otherwise see [Script.StopClaimed].
func (s Script) Stop(id string) string {
	return whole(s.place(id) + `umask 077
if [ ! -d "$d" ]; then
mkdir -p "$b" || exit 3
if mkdir "$d" 2>/dev/null; then
echo "` + fmt.Sprint(StoppedUnstarted) + ` $(date +%s)" >"$d/rc.tmp" && mv -f "$d/rc.tmp" "$d/rc" || exit 3
sync "$d/rc" "$d" "$b" 2>/dev/null || sync
exit 0
fi
[ -d "$d" ] || { mkdir "$d"; exit 3; }
fi
` + stopText())
}

// StopClaimed sends SIGTERM to the command's process group, and SIGKILL after
// [Grace] to what is left of it, even if the connection ends meanwhile. It ends
// with 0 when nothing of the group is left. It fails while the command of a
// claimed attempt has not begun: it may at any moment, so stop again.
func (s Script) StopClaimed(id string) string { return whole(s.place(id) + stopText()) }

func stopText() string {
	killer := fmt.Sprintf(`i=0; while kill -s 0 -- "-$1" && [ $i -lt %d ]; do sleep 0.1 || { sleep 1; i=$((i+9)); }; i=$((i+1)); done; kill -s KILL -- "-$1"`, Grace*10)
	return factsText + `
i=0; while [ ! -s "$d/pid" ] && [ ! -e "$d/rc" ] && [ ! -e "$d/unused" ] && [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done
[ ! -e "$d/rc" ] && [ ! -e "$d/unused" ] || exit 0
read -r boot </proc/sys/kernel/random/boot_id
line claim; set -- $l; [ $# -ne 3 ] || [ "$1" = "$boot" ] || exit 0
line pid; set -- $l; [ $# -eq 2 ] || { echo "it is claimed and has not begun: stop it again" >&2; exit 1; }
p=$1 t=$2
if proc "$p" && [ "${q#* }" != "$t" ]; then exit 0; fi
kill -s TERM -- "-$p" 2>/dev/null || exit 0
setsid sh -c ` + Quote(killer) + ` sh "$p" </dev/null >/dev/null 2>&1 &
i=0
while kill -s 0 -- "-$p" 2>/dev/null; do
[ -e "$d/rc" ] && proc "$p" && [ "${q#* }" != "$t" ] && exit 0
[ $i -lt ` + fmt.Sprint(Grace*10+20) + ` ] || { echo "process group $p does not end" >&2; exit 1; }
sleep 0.1; i=$((i+1))
done`
}

// GonePrefix begins the names of directories of attempts that were forgotten and
// are to be removed.
const GonePrefix = ".gone."

// sweep removes what a [Script.Forget] that was cut has left.
const sweep = `for g in "$b"/` + GonePrefix + `*; do [ ! -d "$g" ] || rm -rf "$g" || [ ! -d "$g" ] || exit 3; done`

// Forget removes an attempt that is finished, or that was claimed before a reboot:
// nothing of it can run. Any other is kept and the text ends with 4: without its
// directory it would look as if it never started.
// Its unit is not stopped: it is gone with its last process, and what the step
// has left running there is to stay.
func (s Script) Forget(id string) string {
	return whole(s.place(id) + `if [ -d "$d" ]; then
if [ ! -e "$d/rc" ]; then
boot= l=
read -r boot </proc/sys/kernel/random/boot_id && { read -r l <"$d/claim"; } 2>/dev/null
set -- $l
[ $# -eq 3 ] && [ -n "$boot" ] && [ "$1" != "$boot" ] || { echo "it is not finished" >&2; exit 4; }
fi
[ ! -e "$d/unit" ] || systemctl reset-failed ` + Unit(id) + ` 2>/dev/null
mv "$d" "$b/` + GonePrefix + `$$.${d##*/}" || [ ! -d "$d" ] || exit 3
fi
` + sweep)
}

// Run becomes the command, with the minimal environment and no stdin.
func Run(e backout.Exec) string { return "{\n" + runText(e) + " </dev/null\n}\n" }

// RunWithInput is what "sh -c" is given when the command has a stdin of its
// own: it reads the text from the head of its stdin, to the byte, and leaves
// the rest to the command.
func RunWithInput(e backout.Exec) (arg, text string) {
	text = runText(e)
	return fmt.Sprintf(`eval "$(dd bs=1 count=%d 2>/dev/null)"`, len(text)), text
}

func runText(e backout.Exec) string {
	return "exec env -i PATH=" + Path + ` HOME="$HOME" LC_ALL=C LANG=C sh -c ` + Quote(Become(e))
}

// Armed is the text of a supervisor that is started before there is an attempt:
// its working directory is renamed to the attempt's when it is claimed. Its
// command's shell reads from descriptor 3, and "ready" and the exit code are told
// on descriptor 4, a line each.
func Armed() string {
	return recordClaim + `
setsid sh -s <&3 3<&- >>out 2>&1 &
p=$!
exec 3<&-
trap '' PIPE
` + recordResult("echo \"$rc\" >&4\n")
}

// Arm is the first text for the armed shell: it leaves its record and says that
// it is ready. Should its input end before it was fired, it leaves a mark.
func Arm() string {
	return "{\ntrap ': >unused' EXIT\n" + recordSelf + "\n" + `echo "$$ $1" >pid && echo ready >&4` + "\n}\n"
}

// Fire makes the armed shell become the command, with builtins only. It writes no
// file: that could wait for the file system to finish somebody's sync.
func Fire(e backout.Exec) string {
	return "{\ntrap - EXIT\nexec 4>&- </dev/null\n" + Become(e) + "\n}\n"
}

// Trim shows what a target said on stderr in one line of an error.
func Trim(stderr []byte) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(stderr), "�")), " ")
}
