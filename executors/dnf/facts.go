package dnf

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/backout-io/backout/internal/packages"
)

// pkg is one version of one package on the target.
type pkg struct{ name, arch, evr string }

func (p pkg) String() string { return packages.NEVRA(p.name, p.evr, p.arch) }

// move is one package in a transaction: it comes ("in") or goes ("out").
type move struct {
	way string
	pkg
}

// facts are what the script says; see there for the words.
type facts struct {
	tool, version, user, nothing, reboot, manifest, count string

	missing, unsolved, broken, said, beside      []string
	replaced, offered, cached, kept, listed, now []pkg
	extra, lacking                               []move
	locks                                        []packages.Lock

	historyUnreadable, solved, ended bool
	// reason is what the script ended with.
	reason string
}

// parse reads what the script said. Lines of the tools, which an attempt's output
// has too, are left out. What is not whole is an error.
func parse(output []byte) (facts, error) {
	var f facts
	var bad error
	for line := range strings.Lines(string(output)) {
		line = strings.TrimRight(line, "\r\n")
		word, rest, _ := strings.Cut(line, " ")
		if err := f.read(word, rest, line); err != nil && bad == nil {
			bad = fmt.Errorf("what %s said cannot be read: %w: %q", f.front(), err, printable(line))
		}
	}
	if bad == nil && !f.ended {
		bad = fmt.Errorf("what %s said is not whole", f.front())
	}
	locks, err := packages.ParseLocks(output, 0)
	if bad == nil && err != nil {
		bad = err
	}
	f.locks = locks
	return f, bad
}

// front names the tool with its version, for errors.
func (f *facts) front() string {
	if f.tool == "" {
		return "dnf"
	}
	return strings.TrimSpace(f.tool + " " + f.version)
}

func (f *facts) read(word, rest, line string) error {
	if list := f.texts(word); list != nil {
		*list = append(*list, printable(rest))
		return nil
	}
	if list := f.packages(word); list != nil {
		p, err := readPkg(strings.Fields(rest))
		if err != nil {
			// A tool may begin a line with one of the words.
			if len(strings.Fields(rest)) != 3 {
				return nil
			}
			return err
		}
		*list = append(*list, p)
		return nil
	}
	switch word {
	case "tool":
		f.tool, f.version, _ = strings.Cut(printable(rest), " ")
	case "user":
		f.user = printable(rest)
	case "history":
		f.historyUnreadable = rest == "unreadable"
	case "nothing":
		f.nothing = rest
	case "reboot":
		f.reboot = rest
	case "manifest":
		f.manifest, f.count, _ = strings.Cut(rest, " ")
	case "extra", "lacking":
		return f.move(word, strings.Fields(rest))
	case "solved":
		f.solved = f.solved || rest == ""
	case "end":
		f.ended = line == "end"
	case "backout:":
		f.reason = printable(rest)
	}
	return nil
}

func (f *facts) texts(word string) *[]string {
	switch word {
	case "missing":
		return &f.missing
	case "unsolved":
		return &f.unsolved
	case "broken":
		return &f.broken
	case "said":
		return &f.said
	case "beside":
		return &f.beside
	}
	return nil
}

func (f *facts) packages(word string) *[]pkg {
	switch word {
	case "replaced":
		return &f.replaced
	case "offered":
		return &f.offered
	case "cached":
		return &f.cached
	case "kept":
		return &f.kept
	case "listed":
		return &f.listed
	case "now":
		return &f.now
	}
	return nil
}

func (f *facts) move(word string, fields []string) error {
	if len(fields) != 4 {
		return nil
	}
	p, err := readPkg(fields[1:])
	if err != nil {
		return err
	}
	m := move{fields[0], p}
	if word == "extra" {
		f.extra = append(f.extra, m)
	} else {
		f.lacking = append(f.lacking, m)
	}
	return nil
}

func readPkg(fields []string) (pkg, error) {
	if len(fields) != 3 {
		return pkg{}, fmt.Errorf("want a name, an architecture and a version")
	}
	p := pkg{fields[0], fields[1], fields[2]}
	if err := packages.CheckName(packages.RPM, p.name); err != nil {
		return p, err
	}
	if err := packages.CheckArch(packages.RPM, p.arch); err != nil {
		return p, err
	}
	return p, packages.CheckVersion(packages.RPM, p.evr)
}

// why is the end of what the tool said, as a part of a sentence.
func (f *facts) why() string {
	lines := f.said
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Error") || strings.HasPrefix(l, "Problem") }); i >= 0 {
		lines = lines[i:]
	}
	text := strings.Join(lines, " ")
	if len(text) > 600 {
		text = text[:600] + " …"
	}
	if text == "" {
		return ""
	}
	return ": " + strings.ToValidUTF8(text, "")
}

// printable takes from a target's text what could move a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// without returns the packages of all that are in none of the lists.
func without(all []pkg, lists ...[]pkg) []pkg {
	return slices.DeleteFunc(slices.Clone(all), func(p pkg) bool {
		return slices.ContainsFunc(lists, func(l []pkg) bool { return slices.Contains(l, p) })
	})
}

// names writes the first few of them.
func names[T fmt.Stringer](list []T) string {
	const few = 5
	var texts []string
	for _, p := range list[:min(few, len(list))] {
		texts = append(texts, p.String())
	}
	text := strings.Join(texts, ", ")
	if more := len(list) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
