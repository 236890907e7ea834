package apt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/packages"
)

// said is what a script has said: the lines after each word.
type said map[string][]string

// ask runs one script that only looks.
func ask(ctx context.Context, h backout.Host, e backout.Exec) (said, error) {
	r, err := h.Run(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("look at the packages: %w", err)
	}
	s := said{}
	for line := range strings.Lines(string(r.Stdout)) {
		word, text, ok := strings.Cut(strings.TrimRight(line, "\n"), "|")
		if !ok {
			return nil, fmt.Errorf("look at the packages: the answer has the line %q", clip(line))
		}
		s[word] = append(s[word], text)
	}
	if r.ExitCode != 0 && len(s["missing"]) == 0 {
		return nil, fmt.Errorf("look at the packages: exit code %d: %s", r.ExitCode, lastLines(r.Stderr))
	}
	return s, nil
}

// first is the word's only line, or the first.
func (s said) first(word string) string {
	if len(s[word]) == 0 {
		return ""
	}
	return s[word][0]
}

// unreadable is the error of a tool whose output is not as it should be.
func (s said) unreadable(tool, line string) error {
	return fmt.Errorf("%s of %q: cannot read %q", tool, clip(s.first("apt")), clip(line))
}

// installed is one line of dpkg-query.
type installed struct {
	name, arch, version, state string
	essential                  bool
	kib                        int64
}

// whole tells whether dpkg has unpacked and configured it. The first letter is what
// somebody wants of it: a held package has another one.
func (p installed) whole() bool { return len(p.state) >= 2 && p.state[1] == 'i' && len(p.state) == 2 }

// there tells whether anything of it is unpacked.
func (p installed) there() bool {
	return len(p.state) >= 2 && p.state[1] != 'n' && p.state[1] != 'c'
}

// packages reads the lines of dpkg-query.
func (s said) packages() ([]installed, error) {
	var list []installed
	for _, line := range s["pkg"] {
		f := strings.Fields(line)
		if n := len(f); (n == 2 || n == 3 && f[2] == "/") && len(f[1]) >= 2 && f[1][1] == 'n' {
			continue // known by name only: it has no version
		}
		if len(f) < 4 || len(f[3]) < 2 {
			return nil, s.unreadable("dpkg-query", line)
		}
		p := installed{name: f[0], arch: f[1], version: f[2], state: f[3]}
		if len(f) > 4 {
			p.essential = strings.Contains(f[4], "yes")
		}
		if len(f) > 5 {
			p.kib, _ = strconv.ParseInt(f[5], 10, 64)
		}
		if err := packages.Check(packages.DPKG, backout.PackageChange{Name: p.name, Arch: p.arch, From: p.version}); err != nil {
			return nil, errors.Join(s.unreadable("dpkg-query", line), err)
		}
		list = append(list, p)
	}
	return list, nil
}

// mark names one version of one package.
func mark(name, arch, version string) string { return name + " " + arch + " " + version }

const longest = 300

// clip makes text of a target fit to be shown: one line, nothing that moves a
// terminal, not endless.
func clip(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, text)
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// lastLines are the last lines of output that say something, as one.
func lastLines(output []byte) string {
	var lines []string
	for line := range bytes.Lines(output) {
		if text := clip(string(line)); text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines[max(0, len(lines)-4):], "; ")
}

// some names a few of many.
func some(names []string) string {
	const few = 8
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for i, n := range names {
		names[i] = clip(n)
	}
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}
