package snapper

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/btrfs"
	"github.com/backout-io/backout/internal/sections"
	"github.com/backout-io/backout/internal/tail"
)

// busText makes snapper the command that reaches it.
const busText = `snap() { if [ -S /run/dbus/system_bus_socket ]; then snapper "$@"; else snapper --no-dbus "$@"; fi; }
`

// listText lists the snapshots of a config. While another process makes a snapshot,
// snapper says before the list that it could not load it ("loading 3 failed", as
// Snapper.cc of libsnapper 0.10 has it): what is only half there is looked at again.
const listText = `listed() {
	for _ in 1 2 3 4 5; do
		said=$(snap "$1" -c "$2" list --disable-used-space 2>&1) || { failed=$?; printf '%s\n' "$said"; return $failed; }
		case $said in loading*) sleep 0.2 ;; *) break ;; esac
	done
	printf '%s\n' "$said"
}
`

const lookText = sections.Shell + busText + listText + `printf '=begin\n'
command -v snapper >/dev/null || { printf '=missing snapper\n=end\n'; exit 0; }
[ "$(id -u)" = 0 ] || { printf '=unprivileged\n=end\n'; exit 0; }
if command -v transactional-update >/dev/null && [ ! -w /usr ]; then printf '=transactional\n'; fi
say version snapper --version
say mounts cat /proc/self/mountinfo
say fstab cat /etc/fstab
say cmdline cat /proc/cmdline
form=--jsonout
snapper --help | grep -q -e --jsonout || form=--csvout
for config; do
	printf '=config %s\n' "$config"
	say ${form#--} listed $form "$config"
	dir=$(snap -c "$config" get-config 2>/dev/null | sed -n 's/^SUBVOLUME *| *//p' | sed 's/ *$//')
	say free df -P -k -- "${dir:-/}"
	if [ "$dir" = / ] && command -v btrfs >/dev/null; then
		say show btrfs subvolume show /
		say list btrfs subvolume list -a -p -u -q -g /
	fi
done
printf '=end\n'
`

// seen is one look at a target.
type seen struct {
	missing                     string
	unprivileged, transactional bool
	version                     string
	table                       btrfs.Table
	configs                     map[string]*state
}

// state is one config as it is now.
type state struct {
	list []entry
	// why is why there is no list.
	why  string
	free int64
	root *btrfs.Subvolume
	all  []btrfs.Subvolume
}

// path is where the config's subvolume is.
func (s *state) path() string {
	if len(s.list) == 0 {
		return ""
	}
	return s.list[0].Subvolume
}

func look(ctx context.Context, h backout.Host, configs []string) (seen, error) {
	r, err := h.Run(ctx, backout.Exec{Argv: append([]string{"sh", "-c", lookText, "sh"}, configs...), Env: map[string]string{"LC_ALL": "C", "TZ": "UTC"}})
	switch {
	case err != nil:
		return seen{}, fmt.Errorf("look at snapper: %w", err)
	case r.ExitCode != 0:
		return seen{}, fmt.Errorf("look at snapper: exit code %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	all, err := sections.Parse(string(r.Stdout))
	if err != nil {
		return seen{}, fmt.Errorf("look at snapper: %w", err)
	}
	s := seen{configs: map[string]*state{}}
	config := ""
	for _, part := range all {
		if part.Name == "config" {
			config = part.Arg
			s.configs[config] = &state{}
			continue
		}
		if err := s.read(part, config); err != nil {
			return seen{}, fmt.Errorf("look at snapper (%s): %w", s.version, err)
		}
	}
	return s, nil
}

func (s *seen) read(part sections.Section, config string) error {
	at := s.configs[config]
	var err error
	switch part.Name {
	case "missing":
		s.missing = part.Arg
	case "unprivileged":
		s.unprivileged = true
	case "transactional":
		s.transactional = true
	case "version":
		s.version = strings.TrimSpace(strings.Split(part.Text(), ";")[0])
	case "mounts":
		s.table.Mounts, err = btrfs.ParseMounts(part.Lines)
	case "fstab":
		s.table.Fstab = btrfs.ParseFstab(part.Lines)
	case "cmdline":
		s.table.Cmdline = part.Text()
	case "jsonout", "csvout", "free", "show", "list":
		if at == nil {
			return fmt.Errorf("%s of no config", part.Name)
		}
		err = at.read(part, config)
	}
	return err
}

func (s *state) read(part sections.Section, config string) error {
	if part.Name == "jsonout" || part.Name == "csvout" {
		if part.Failed != "" {
			s.why = part.Text()
			return nil
		}
		var err error
		if part.Name == "jsonout" {
			s.list, err = parseJSON(config, strings.Join(part.Lines, "\n"))
		} else {
			s.list, err = parseCSV(strings.Join(part.Lines, "\n") + "\n")
		}
		return err
	}
	if s.why != "" {
		return nil
	}
	var err error
	switch part.Name {
	case "free":
		f := strings.Fields(strings.Join(part.Lines[max(0, len(part.Lines)-1):], ""))
		if len(f) < 6 {
			return fmt.Errorf("df says %q", part.Text())
		}
		var kib int64
		kib, err = strconv.ParseInt(f[3], 10, 64)
		s.free = kib << 10
	case "show":
		s.root, err = btrfs.ParseShow(part.Lines)
	case "list":
		s.all, err = btrfs.ParseList(part.Lines)
	}
	return err
}

// attempt runs a script under the task's attempt.
func attempt(ctx context.Context, t backout.Task, h backout.Host, text string, args []string, out io.Writer) (backout.Outcome, error) {
	var said tail.Writer
	e := backout.Exec{Argv: append([]string{"sh", "-c", "set -eu\n" + busText + text, "sh"}, args...), Env: executors.Facts(t)}
	e.Env["LC_ALL"], e.Env["TZ"] = "C", "UTC"
	outcome, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, &said))
	if err != nil && outcome.ExitCode != 0 {
		return outcome, fmt.Errorf("%s: %w: %s", t.Step.Uses, err, said.Lines(2))
	}
	return outcome, err
}

// unfinished tells work that is under way from work that is not.
func unfinished(ctx context.Context, t backout.Task, h backout.Host, p backout.Probed) (backout.Probed, error) {
	r, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{}, err
	}
	if r.State == backout.AttemptRunning {
		return backout.Probed{State: backout.ProbeInProgress, Detail: "the attempt is running"}, nil
	}
	return p, nil
}
