// Package btrfs reads what btrfs(8), the kernel and fstab(5) say of subvolumes and of
// how they are mounted. It is pure.
package btrfs

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// TopLevel is the number of a file system's top level; it is no subvolume that
// could be replaced.
const TopLevel = 5

// Subvolume is one of a file system.
type Subvolume struct {
	ID, Parent, Generation int
	UUID, ParentUUID       string
	// Tree is its path from the top level.
	Tree string
}

// Mount is a line of mountinfo or fstab.
type Mount struct{ Path, Source, Type, Options string }

// Option returns a mount option's value.
func (m Mount) Option(name string) (string, bool) {
	for o := range strings.SplitSeq(m.Options, ",") {
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

// ParseMounts reads /proc/self/mountinfo.
func ParseMounts(lines []string) ([]Mount, error) {
	var all []Mount
	for _, line := range lines {
		head, tail, ok := strings.Cut(line, " - ")
		a, b := strings.Fields(head), strings.Fields(tail)
		if !ok || len(a) < 6 || len(b) < 2 {
			return nil, fmt.Errorf("mountinfo has the line %q", line)
		}
		m := Mount{Path: unescape(a[4]), Type: b[0], Source: unescape(b[1])}
		if len(b) > 2 {
			m.Options = unescape(b[2])
		}
		all = append(all, m)
	}
	return all, nil
}

// ParseFstab reads /etc/fstab; lines that say nothing of a mount are left out.
func ParseFstab(lines []string) []Mount {
	var all []Mount
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") {
			continue
		}
		all = append(all, Mount{Source: unescape(f[0]), Path: unescape(f[1]), Type: f[2], Options: unescape(f[3])})
	}
	return all
}

// ParseSwaps returns the swap files of /proc/swaps.
func ParseSwaps(lines []string) []string {
	var files []string
	for _, line := range lines {
		if f := strings.Fields(line); len(f) > 1 && f[1] == "file" {
			files = append(files, unescape(f[0]))
		}
	}
	return files
}

// ParseShow reads btrfs subvolume show; it does not have Parent and Tree.
func ParseShow(lines []string) (*Subvolume, error) {
	var s Subvolume
	for _, line := range lines {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if value = strings.TrimSpace(value); !ok {
			continue
		}
		var err error
		switch key {
		case "UUID":
			s.UUID = value
		case "Parent UUID":
			s.ParentUUID = value
		case "Subvolume ID":
			s.ID, err = atoi(value)
		case "Generation":
			s.Generation, err = atoi(value)
		}
		if err != nil {
			return nil, err
		}
	}
	if s.ID == 0 || s.UUID == "" {
		return nil, errors.New(strings.TrimSpace("btrfs subvolume show: " + strings.Join(lines, "; ")))
	}
	return &s, nil
}

// list is a line of btrfs subvolume list -a -p -u -q -g. The tree begins with
// <FS_TREE>/ where it is not below the path that was asked of.
var list = regexp.MustCompile(`^ID ([0-9]+) gen ([0-9]+) (?:cgen [0-9]+ )?parent ([0-9]+) top level [0-9]+ parent_uuid (\S+) +uuid (\S+) path (?:<FS_TREE>/)?(.+)$`)

// ParseList reads btrfs subvolume list -a -p -u -q, with or without -g.
func ParseList(lines []string) ([]Subvolume, error) {
	var all []Subvolume
	for _, line := range lines {
		m := list.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("btrfs subvolume list has the line %q", line)
		}
		s := Subvolume{ParentUUID: m[4], UUID: m[5], Tree: m[6]}
		for i, into := range []*int{&s.ID, &s.Generation, &s.Parent} {
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

// ParseDefault reads btrfs subvolume get-default.
func ParseDefault(lines []string) (int, error) {
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

// ParseUsage reads btrfs filesystem usage -b: what can still be written, and what the trees have left: a
// file system with room for data may be full for them.
func ParseUsage(lines []string) (free, trees int64, err error) {
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

// Table is how a target's file systems are mounted, now and at the next boot.
type Table struct {
	Mounts, Fstab []Mount
	Cmdline       string
}

// Mounted returns the last mount at the path, which hides those before it.
func (t Table) Mounted(p string) (Mount, bool) {
	for _, m := range slices.Backward(t.Mounts) {
		if m.Path == p {
			return m, true
		}
	}
	return Mount{}, false
}

// Device returns what the path's file system is mounted from.
func (t Table) Device(p string) string {
	for ; ; p = path.Dir(p) {
		if m, ok := t.Mounted(p); ok || p == "/" {
			return m.Source
		}
	}
}

// Asked returns what says how the path is mounted by a boot: its line of fstab, and
// for / the kernel's command line too. The sources are for people.
func (t Table) Asked(p string) (given []Mount, listed bool) {
	for _, m := range t.Fstab {
		if m.Path == p && m.Type == "btrfs" {
			m.Source, listed = "/etc/fstab", true
			given = append(given, m)
		}
	}
	if p == "/" {
		for word := range strings.FieldsSeq(t.Cmdline) {
			if flags, ok := strings.CutPrefix(word, "rootflags="); ok {
				given = append(given, Mount{Source: "rootflags= of the kernel's command line", Options: strings.Trim(flags, `"`)})
			}
		}
	}
	return given, listed
}

func atoi(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}
