package btrfs

import (
	"context"
	"fmt"
	"io"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/tail"
)

// The scripts run in a mount namespace of their own, in which the top level of a
// file system is mounted: what is left of one that is killed is nothing.

// common is the beginning of each: names of the change, and small tools.
const common = `set -eu
change=$1 key=$2; shift 2
top=/run/backout/btrfs
die() { printf 'backout: %s\n' "$*" >&2; exit 1; }
field() { btrfs subvolume show "$1" | sed -n "s/^[[:space:]]*$2:[[:space:]]*//p" | head -n 1; }
subvolume() { [ -d "$1" ] && [ "$(stat -c %i -- "$1")" = 256 ]; }
remove() {
	btrfs subvolume list -o "$1" | sed -n 's/^ID .* path //p' | while IFS= read -r inner; do
		( remove "$top/$inner" ) || exit 1
	done || return 1
	btrfs subvolume delete --commit-after "$1"
}
# own calls a command for each marker of the change in a folder. Behind the change's id
# no key has a dash, so those of "X-1" are not of "X".
own() {
	for mark in "$2/.backout-pre-$change-"* "$2/.backout-post-$change-"*; do
		case ${mark#"$2"/.backout-p*"-$change-"} in *-*) continue ;; esac
		if [ -e "$mark" ] || [ -L "$mark" ]; then "$1" "$mark"; fi
	done
}
unmark() { rm -f -- "$1"; }
found() { ours=1; }
# put writes a marker, and never through a link that somebody has put in its place.
put() ( set -C; : >"$1" )
[ "$(id -u)" = 0 ] || die "only root can do this"
mkdir -p -- "$top"
mount --make-rprivate / 2>/dev/null || :
while [ $# -gt 0 ]; do
	name=$1 tree=$2 device=$3 want=$4; shift 4
	mount -t btrfs -o subvolid=5 -- "$device" "$top"
	keep=$top/.backout/$change
	cur=$top/$tree
	snap=$keep/$name
	bad=$snap-backed-out
	new=$snap-restored
`

// takeText makes the snapshots. One of an earlier attempt of the same change is
// renewed; one that it has not made, or that a restore has used, is left alone.
const takeText = common + `
	mkdir -p -m 700 -- "$keep"
	[ ! -e "$bad" ] || die "subvolume $name of $change has been put back: its snapshot is not taken anew"
	if [ -e "$snap" ]; then
		ours=
		own found "$snap"
		[ "$ours" ] || die "a snapshot .backout/$change/$name is there that this change has not made: look at it, and delete it"
	fi
	[ "$(field "$cur" UUID)" = "$want" ] || die "$tree is not the subvolume that was looked at"
	own unmark "$cur"
	put "$cur/.backout-pre-$key"
	btrfs filesystem sync "$cur"
	[ ! -e "$snap.new" ] || remove "$snap.new"
	btrfs subvolume snapshot -r "$cur" "$snap.new"
	[ ! -e "$snap" ] || remove "$snap"
	mv -T -- "$snap.new" "$snap"
	put "$cur/.backout-post-$key"
	btrfs filesystem sync "$cur"
	umount -- "$top"
done
`

// putText puts them back. It goes on where an earlier attempt was cut: what has
// the snapshot for its parent has been put back.
const putText = common + `
	[ "$(field "$snap" UUID)" = "$want" ] || die "snapshot .backout/$change/$name is not the one that was made"
	if subvolume "$cur" && [ "$(field "$cur" 'Parent UUID')" = "$want" ]; then
		# Cut between the exchange and the second name.
		[ ! -e "$new" ] || [ -e "$bad" ] || mv -T -- "$new" "$bad"
	else
		[ ! -e "$new" ] || remove "$new"
		btrfs subvolume snapshot "$snap" "$new"
		btrfs filesystem sync "$top"
		if subvolume "$cur"; then
			[ ! -e "$bad" ] || die "$name-backed-out is there already"
			if mv --help | grep -q -e --exchange; then
				mv --exchange -T -- "$new" "$cur"
				mv -T -- "$new" "$bad"
			else
				mv -T -- "$cur" "$bad"
				mv -T -- "$new" "$cur"
			fi
		else
			# An empty folder stands where a subvolume inside another was.
			[ ! -e "$cur" ] || rmdir -- "$cur"
			mv -T -- "$new" "$cur"
		fi
	fi
	if subvolume "$bad" && [ "$(btrfs subvolume get-default "$top" | cut -d ' ' -f 2)" = "$(field "$bad" 'Subvolume ID')" ]; then
		btrfs subvolume set-default "$(field "$cur" 'Subvolume ID')" "$top"
	fi
	btrfs filesystem sync "$top"
	printf 'backout: %s is put back\n' "$tree"
	umount -- "$top"
done
`

// cleanText removes all of a change, but never what is mounted.
const cleanText = common + `
	if subvolume "$bad"; then
		id=$(field "$bad" 'Subvolume ID')
		# The third field is the same for all mounts of one file system.
		fs=$(awk -v at="$top" '$5 == at { fs = $3 } END { print fs }' /proc/self/mountinfo)
		if awk -v fs="$fs" -v id="[ ,]subvolid=$id(,|\$)" '$3 == fs && $0 ~ id { found = 1 } END { exit !found }' /proc/self/mountinfo; then
			die "$name-backed-out is still mounted: the reboot after the restore has not happened"
		fi
	fi
	for old in "$bad" "$new" "$snap.new" "$snap"; do
		if subvolume "$old"; then remove "$old"; fi
	done
	own unmark "$cur"
	[ ! -d "$keep" ] || rmdir -- "$keep" 2>/dev/null || :
	[ ! -d "$top/.backout" ] || rmdir -- "$top/.backout" 2>/dev/null || :
	umount -- "$top"
done
`

// aroundText unmounts the paths of its first argument ($1 of them), runs the rest
// apart, and mounts them again whatever became of it.
const aroundText = `set -u
n=$1 i=0 paths=; shift
while [ $i -lt "$n" ]; do
	case $1 in *[!A-Za-z0-9._@:+/-]*) exit 2;; esac
	paths="$1 $paths"; shift; i=$((i+1))
done
back() { for p in $mounted; do mount -- "$p" || { printf 'backout: %s could not be mounted again\n' "$p" >&2; rc=1; }; done; }
mounted= rc=0
for p in $paths; do
	# What fstab does not have is inside another one of the set.
	findmnt -s -n -- "$p" >/dev/null || continue
	if ! mountpoint -q -- "$p" || umount -- "$p"; then
		mounted="$p $mounted"
	else
		printf 'backout: %s is in use: stop what uses it by a step before\n' "$p" >&2
		rc=1; back; exit 1
	fi
done
"$@" || rc=$?
back
exit $rc
`

// apart is the command line of a script in a mount namespace of its own.
func apart(text, change, key string, args []string) []string {
	return append([]string{"unshare", "-m", "sh", "-c", text, "sh", change, key}, args...)
}

// attempt runs a command line under the task's attempt.
func attempt(ctx context.Context, t backout.Task, h backout.Host, argv []string, out io.Writer) (backout.Outcome, error) {
	var said tail.Writer
	e := backout.Exec{Argv: argv, Env: executors.Facts(t)}
	e.Env["LC_ALL"], e.Env["TZ"] = "C", "UTC"
	outcome, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, &said))
	if err != nil && outcome.ExitCode != 0 {
		return outcome, fmt.Errorf("%s: %w: %s", t.Step.Uses, err, said.Lines(2))
	}
	return outcome, err
}
