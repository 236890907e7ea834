package btrfs

import (
	"context"
	"fmt"
	"strings"

	"github.com/backout-io/backout"
	tool "github.com/backout-io/backout/internal/btrfs"
	"github.com/backout-io/backout/internal/sections"
)

// lookText shows everything that is to be known of the paths in its arguments.
const lookText = sections.Shell + `printf '=begin\n'
command -v btrfs >/dev/null || { printf '=missing btrfs-progs\n=end\n'; exit 0; }
for tool in unshare mount umount; do
	command -v "$tool" >/dev/null || { printf '=missing util-linux\n=end\n'; exit 0; }
done
[ "$(id -u)" = 0 ] || printf '=unprivileged\n'
say version btrfs --version
say mounts cat /proc/self/mountinfo
say fstab cat /etc/fstab
say cmdline cat /proc/cmdline
say swaps cat /proc/swaps
for path; do
	printf '=path %s\n' "$path"
	say show btrfs subvolume show "$path"
	say list btrfs subvolume list -a -p -u -q -g "$path"
	say default btrfs subvolume get-default "$path"
	say usage btrfs filesystem usage -b "$path"
	say marks ls -A -- "$path"
done
printf '=end\n'
`

// seen is one look at a target.
type seen struct {
	// missing is a package that is needed and not there.
	missing      string
	unprivileged bool
	version      string
	table        tool.Table
	swaps        []string
	paths        map[string]*place
}

// place is one path of the set as it is now.
type place struct {
	// subvolume is what is seen at the path; nil with why when it is none.
	subvolume *tool.Subvolume
	why       string
	all       []tool.Subvolume
	deflt     int
	// free is what can be written, metadata what the trees have left.
	free, metadata int64
	names          map[string]bool
}

// look takes one.
func look(ctx context.Context, h backout.Host, paths []string) (seen, error) {
	r, err := h.Run(ctx, backout.Exec{Argv: append([]string{"sh", "-c", lookText, "sh"}, paths...), Env: map[string]string{"LC_ALL": "C", "TZ": "UTC"}})
	if err != nil {
		return seen{}, fmt.Errorf("look at btrfs: %w", err)
	}
	if r.ExitCode != 0 {
		return seen{}, fmt.Errorf("look at btrfs: exit code %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	return parse(string(r.Stdout))
}

func parse(text string) (seen, error) {
	all, err := sections.Parse(text)
	if err != nil {
		return seen{}, fmt.Errorf("look at btrfs: %w", err)
	}
	s := seen{paths: map[string]*place{}}
	var at *place
	for _, part := range all {
		switch part.Name {
		case "missing":
			s.missing = part.Arg
		case "unprivileged":
			s.unprivileged = true
		case "version":
			s.version = strings.Join(part.Lines, " ")
		case "mounts":
			s.table.Mounts, err = tool.ParseMounts(part.Lines)
		case "fstab":
			s.table.Fstab = tool.ParseFstab(part.Lines)
		case "cmdline":
			s.table.Cmdline = strings.Join(part.Lines, " ")
		case "swaps":
			s.swaps = tool.ParseSwaps(part.Lines)
		case "path":
			at = &place{names: map[string]bool{}}
			s.paths[part.Arg] = at
		default:
			if at != nil {
				err = at.read(part)
			}
		}
		if err != nil {
			return seen{}, fmt.Errorf("look at btrfs (%s): %w", s.version, err)
		}
	}
	return s, nil
}

// read takes in what one tool says of the path. After the first failure the rest
// is not read: it fails for the same reason.
func (p *place) read(part sections.Section) error {
	if p.why != "" {
		return nil
	}
	var err error
	switch part.Name {
	case "show":
		if p.subvolume, err = tool.ParseShow(part.Lines); err != nil {
			p.why = err.Error()
		}
		return nil
	case "list":
		p.all, err = tool.ParseList(part.Lines)
	case "default":
		p.deflt, err = tool.ParseDefault(part.Lines)
	case "usage":
		p.free, p.metadata, err = tool.ParseUsage(part.Lines)
	case "marks":
		for _, name := range part.Lines {
			p.names[name] = true
		}
	}
	if err != nil {
		return err
	}
	if part.Name == "list" {
		return p.find()
	}
	return nil
}

// find completes the subvolume from the list, which knows its place in the tree.
func (p *place) find() error {
	for _, s := range p.all {
		if s.UUID == p.subvolume.UUID {
			*p.subvolume = s
			return nil
		}
	}
	if p.subvolume.ID != tool.TopLevel {
		return fmt.Errorf("btrfs subvolume list does not have subvolume %d", p.subvolume.ID)
	}
	return nil
}

// kept returns the snapshot that the change has of the name.
func (p *place) kept(tree string) *tool.Subvolume {
	for i := range p.all {
		if p.all[i].Tree == tree {
			return &p.all[i]
		}
	}
	return nil
}
