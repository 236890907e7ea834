// Package sections reads what a look at a target says: headings that the script
// writes, and below each what files and tools say, every line of it behind a bar,
// so that none is taken for a heading.
package sections

import (
	"fmt"
	"strings"
)

// Shell begins a script: say NAME COMMAND… runs a command below a heading, with a
// heading "failed" and its exit code where that is not 0. The script itself says
// "=begin" first and "=end" last, and may say other headings: "=NAME" or
// "=NAME ARGUMENT".
const Shell = `say() {
	printf '=%s\n' "$1"; shift
	{ "$@" 2>&1 </dev/null || printf '\n=failed %s\n' $?; } | sed '/^=failed [0-9]*$/!s/^/|/'
}
`

// Section is one heading with the lines below it.
type Section struct {
	Name, Arg string
	Lines     []string
	// Failed is the exit code of its command.
	Failed string
}

// Text is what stands below the heading, as one line for people.
func (s Section) Text() string {
	var lines []string
	for _, l := range s.Lines {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "; ")
}

// Parse reads the whole answer, or fails.
func Parse(text string) ([]Section, error) {
	var all []Section
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "=failed ") && len(all) > 0:
			all[len(all)-1].Failed = line[len("=failed "):]
		case strings.HasPrefix(line, "="):
			name, arg, _ := strings.Cut(line[1:], " ")
			all = append(all, Section{Name: name, Arg: arg})
		case strings.HasPrefix(line, "|") && len(all) > 0:
			all[len(all)-1].Lines = append(all[len(all)-1].Lines, line[1:])
		case len(all) > 0:
			return nil, fmt.Errorf("the answer has a line that nothing of it should have: %q", line)
		}
	}
	if len(all) == 0 || all[0].Name != "begin" || all[len(all)-1].Name != "end" {
		return nil, fmt.Errorf("the answer is not whole: %q", text[max(0, len(text)-200):])
	}
	return all, nil
}
