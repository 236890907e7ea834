package capture

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
)

// section is what one tool said, and its exit code.
type section struct {
	lines []string
	code  int
}

// sections are all of one look, by name.
type sections struct {
	by map[string]section
	// stderr is the end of what all tools said there, for the errors.
	stderr string
}

var errCut = fmt.Errorf("look at the target: its answer is not whole (more than %d KiB, or cut on the way): leave a part out with baseline.without, or narrow baseline.files", maxOutput>>10)

// unframe reads the answer of the script, and refuses one that is not whole.
func unframe(r backout.ExecResult) (sections, error) {
	said := sections{by: map[string]section{}, stderr: tail(r.Stderr)}
	if r.ExitCode != 0 {
		return said, fmt.Errorf("look at the target: its shell ended with %d%s", r.ExitCode, said.stderr)
	}
	text, err := inflate(r.Stdout)
	if err != nil {
		return said, err
	}
	text, ok := strings.CutSuffix(text, "\n@whole\n")
	if !ok {
		return said, errCut
	}
	head, text, _ := strings.Cut(text, "\n")
	if head != Name+" 1" {
		return said, fmt.Errorf("look at the target: it answers %s, which is not of this script", quote(head))
	}
	open, lines := "", []string(nil)
	for line := range strings.SplitSeq(text, "\n") {
		switch rest, content := strings.CutPrefix(line, " "); {
		case content && open != "":
			if rest != "" {
				lines = append(lines, rest)
			}
		case open != "" && strings.HasPrefix(line, "@end "):
			code, err := strconv.Atoi(line[len("@end "):])
			if err != nil {
				return said, errCut
			}
			said.by[open] = section{lines, code}
			open, lines = "", nil
		case open == "" && len(line) > 1 && line[0] == '@':
			if open = line[1:]; said.has(open) {
				return said, errCut
			}
		default:
			return said, errCut
		}
	}
	if open != "" {
		return said, errCut
	}
	return said, nil
}

func (s sections) has(name string) bool {
	_, ok := s.by[name]
	return ok
}

// inflate unpacks what gzip of the target packed; without gzip it comes as it is.
func inflate(data []byte) (string, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return string(data), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", errCut
	}
	var text strings.Builder
	switch n, err := io.Copy(&text, io.LimitReader(z, maxInflated+1)); {
	case err != nil:
		return "", errCut
	case n > maxInflated:
		return "", errors.New("look at the target: its answer is larger than 16 MiB: leave a part out with baseline.without, or narrow baseline.files")
	}
	return text.String(), nil
}

// The exit codes by which the script says what stopped a part.
const (
	codeLacks      = 127
	codeUnreadable = 77
	codeOdd        = 78
	codeDirectory  = 79
)

// lines returns what the section has, or why it is not to be had. part is what it
// belongs to, tool who speaks.
func (s sections) lines(name, part, tool string) ([]string, error) {
	sec, ok := s.by[name]
	last := ""
	if n := len(sec.lines); n > 0 {
		last = sec.lines[n-1]
	}
	switch {
	case !ok:
		return nil, fmt.Errorf("look at %s: the target did not say %q: its answer is not of this script", part, name)
	case sec.code == 0:
		return sec.lines, nil
	case sec.code == codeLacks:
		if missing, pkg, ok := strings.Cut(last, " "); ok && len(sec.lines) == 1 {
			return nil, &MissingError{Part: part, Tool: quote(missing), Package: quote(pkg)}
		}
		return nil, &MissingError{Part: part, Tool: tool, Package: tool}
	case sec.code == codeUnreadable:
		return nil, invalid("look at %s: %s cannot be read: log in to the target as root, or leave the part out with baseline.without", part, quote(last))
	case sec.code == codeOdd:
		return nil, invalid("look at %s: a name or a link in %s has a line break: rename it, or narrow the pattern", part, quote(last))
	case sec.code == codeDirectory:
		return nil, invalid("look at %s: %s is a folder: write %s/* for the files in it", part, quote(last), quote(last))
	}
	return nil, invalid("look at %s: %s ended with %d%s", part, tool, sec.code, s.stderr)
}

// unparsed is a line that a tool should not have said.
func unparsed(part, tool, line string) error {
	return invalid("look at %s: %s says %s, which is not understood: leave the part out with baseline.without if that can be, and report it", part, tool, quote(line))
}

// tail is the end of stderr, as the end of an error.
func tail(stderr []byte) string {
	text := strings.TrimSpace(string(stderr[max(0, len(stderr)-600):]))
	if text == "" {
		return ""
	}
	return ": " + quote(text)
}
