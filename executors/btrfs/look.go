package btrfs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// lookText shows everything that is to be known of the paths in its arguments.
// Lines of files and tools begin with a bar, so that none is taken for a heading.
const lookText = `bar() { sed 's/^/|/'; }
say() { printf '=%s\n' "$1"; shift; "$@" 2>&1 | bar; }
printf '=begin\n'
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
	mounts       []mount
	fstab        []mount
	cmdline      string
	swaps        []string
	paths        map[string]*place
}

// place is one path of the set as it is now.
type place struct {
	// subvolume is what is seen at the path; nil with why when it is none.
	subvolume *subvolume
	why       string
	all       []subvolume
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

// section is one heading with the lines below it.
type section struct {
	name, arg string
	lines     []string
}

func split(text string) ([]section, error) {
	var all []section
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "="):
			name, arg, _ := strings.Cut(line[1:], " ")
			all = append(all, section{name: name, arg: arg})
		case strings.HasPrefix(line, "|") && len(all) > 0:
			all[len(all)-1].lines = append(all[len(all)-1].lines, line[1:])
		case len(all) > 0:
			return nil, fmt.Errorf("look at btrfs: the answer has a line that nothing of it should have: %q", line)
		}
	}
	if len(all) == 0 || all[0].name != "begin" || all[len(all)-1].name != "end" {
		return nil, errors.New("look at btrfs: the answer is not whole")
	}
	return all, nil
}

func parse(text string) (seen, error) {
	sections, err := split(text)
	if err != nil {
		return seen{}, err
	}
	s := seen{paths: map[string]*place{}}
	var at *place
	for _, part := range sections {
		switch part.name {
		case "missing":
			s.missing = part.arg
		case "unprivileged":
			s.unprivileged = true
		case "version":
			s.version = strings.Join(part.lines, " ")
		case "mounts":
			s.mounts, err = parseMounts(part.lines)
		case "fstab":
			s.fstab = parseFstab(part.lines)
		case "cmdline":
			s.cmdline = strings.Join(part.lines, " ")
		case "swaps":
			s.swaps = parseSwaps(part.lines)
		case "path":
			at = &place{names: map[string]bool{}}
			s.paths[part.arg] = at
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
func (p *place) read(part section) error {
	if p.why != "" {
		return nil
	}
	var err error
	switch part.name {
	case "show":
		if p.subvolume, err = parseShow(part.lines); err != nil {
			p.why = err.Error()
		}
		return nil
	case "list":
		p.all, err = parseList(part.lines)
	case "default":
		p.deflt, err = parseDefault(part.lines)
	case "usage":
		p.free, p.metadata, err = parseUsage(part.lines)
	case "marks":
		for _, name := range part.lines {
			p.names[name] = true
		}
	}
	if err != nil {
		return err
	}
	if part.name == "list" {
		return p.find()
	}
	return nil
}

// find completes the subvolume from the list, which knows its place in the tree.
func (p *place) find() error {
	for _, s := range p.all {
		if s.uuid == p.subvolume.uuid {
			*p.subvolume = s
			return nil
		}
	}
	if p.subvolume.id != topLevel {
		return fmt.Errorf("btrfs subvolume list does not have subvolume %d", p.subvolume.id)
	}
	return nil
}

// kept returns the snapshot that the change has of the name.
func (p *place) kept(tree string) *subvolume {
	for i := range p.all {
		if p.all[i].tree == tree {
			return &p.all[i]
		}
	}
	return nil
}

func atoi(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}
