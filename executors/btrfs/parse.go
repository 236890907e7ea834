package btrfs

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// topLevel is the number of a file system's top level; it is no subvolume that
// could be replaced.
const topLevel = 5

// subvolume is one of a file system.
type subvolume struct {
	id, parent, generation int
	uuid, parentUUID       string
	// tree is its path from the top level.
	tree string
}

// mount is a line of mountinfo or fstab.
type mount struct{ path, source, kind, options string }

// option returns a mount option's value.
func (m mount) option(name string) (string, bool) {
	for o := range strings.SplitSeq(m.options, ",") {
		if key, value, _ := strings.Cut(o, "="); key == name {
			return value, true
		}
	}
	return "", false
}

var octal = regexp.MustCompile(`\\[0-7]{3}`)

// unescape reads the form that the kernel and fstab(5) write blanks in.
func unescape(text string) string {
	return octal.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.ParseUint(s[1:], 8, 8)
		return string([]byte{byte(n)})
	})
}

func parseMounts(lines []string) ([]mount, error) {
	var all []mount
	for _, line := range lines {
		head, tail, ok := strings.Cut(line, " - ")
		a, b := strings.Fields(head), strings.Fields(tail)
		if !ok || len(a) < 6 || len(b) < 2 {
			return nil, fmt.Errorf("mountinfo has the line %q", line)
		}
		m := mount{path: unescape(a[4]), kind: b[0], source: unescape(b[1])}
		if len(b) > 2 {
			m.options = unescape(b[2])
		}
		all = append(all, m)
	}
	return all, nil
}

func parseFstab(lines []string) []mount {
	var all []mount
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") {
			continue
		}
		all = append(all, mount{source: unescape(f[0]), path: unescape(f[1]), kind: f[2], options: unescape(f[3])})
	}
	return all
}

// parseSwaps returns the swap files.
func parseSwaps(lines []string) []string {
	var files []string
	for _, line := range lines {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "file" {
			files = append(files, unescape(f[0]))
		}
	}
	return files
}

func parseShow(lines []string) (*subvolume, error) {
	var s subvolume
	for _, line := range lines {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if value = strings.TrimSpace(value); !ok {
			continue
		}
		var err error
		switch key {
		case "UUID":
			s.uuid = value
		case "Parent UUID":
			s.parentUUID = value
		case "Subvolume ID":
			s.id, err = atoi(value)
		case "Generation":
			s.generation, err = atoi(value)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.id == 0 || s.uuid == "" {
		return nil, errors.New(strings.TrimSpace("btrfs subvolume show: " + strings.Join(lines, "; ")))
	}
	return &s, nil
}

// list is a line of btrfs subvolume list -a -p -u -q -g. The tree begins with
// <FS_TREE>/ where it is not below the path that was asked of.
var list = regexp.MustCompile(`^ID ([0-9]+) gen ([0-9]+) (?:cgen [0-9]+ )?parent ([0-9]+) top level [0-9]+ parent_uuid (\S+) +uuid (\S+) path (?:<FS_TREE>/)?(.+)$`)

func parseList(lines []string) ([]subvolume, error) {
	var all []subvolume
	for _, line := range lines {
		m := list.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("btrfs subvolume list has the line %q", line)
		}
		s := subvolume{parentUUID: m[4], uuid: m[5], tree: m[6]}
		for i, into := range []*int{&s.id, &s.generation, &s.parent} {
			n, err := atoi(m[i+1])
			if err != nil {
				return nil, fmt.Errorf("btrfs subvolume list: %w", err)
			}
			*into = n
		}
		all = append(all, s)
	}
	return all, nil
}

func parseDefault(lines []string) (int, error) {
	f := strings.Fields(strings.Join(lines, " "))
	if len(f) < 2 || f[0] != "ID" {
		return 0, fmt.Errorf("btrfs subvolume get-default says %q", strings.Join(lines, "; "))
	}
	return atoi(f[1])
}

var (
	estimated   = regexp.MustCompile(`^\s*Free \(estimated\):\s+[0-9]+\s+\(min: ([0-9]+)\)`)
	unallocated = regexp.MustCompile(`^\s*Device unallocated:\s+([0-9]+)`)
	reserve     = regexp.MustCompile(`^\s*Global reserve:\s+([0-9]+)`)
	ratio       = regexp.MustCompile(`^\s*Metadata ratio:\s+([0-9.]+)`)
	metadata    = regexp.MustCompile(`^(?:Data\+)?Metadata,[^:]*:\s*Size:([0-9]+), Used:([0-9]+)`)
)

// parseUsage returns what can still be written, and what the trees have left: a
// file system with room for data may be full for them.
func parseUsage(lines []string) (free, trees int64, err error) {
	var open, kept int64
	times, found := 1.0, 0
	for _, line := range lines {
		for i, r := range []*regexp.Regexp{estimated, unallocated, reserve, ratio, metadata} {
			m := r.FindStringSubmatch(line)
			if m == nil {
				continue
			}
			number, _ := strconv.ParseInt(m[1], 10, 64)
			switch i {
			case 0:
				free, found = number, found|1
			case 1:
				open, found = number, found|2
			case 2:
				kept, found = number, found|4
			case 3:
				times, _ = strconv.ParseFloat(m[1], 64)
			case 4:
				used, _ := strconv.ParseInt(m[2], 10, 64)
				trees, found = trees+number-used, found|8
			}
		}
	}
	if found != 15 {
		return 0, 0, fmt.Errorf("btrfs filesystem usage says %q", strings.Join(lines, "; "))
	}
	return free, max(0, trees-kept) + int64(float64(open)/max(times, 1)), nil
}
