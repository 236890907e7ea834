// Package tail keeps the end of what a program says, to tell why it failed.
package tail

import (
	"bytes"
	"strings"
)

// keep is how much of the end is remembered.
const keep = 4 << 10

// Writer remembers the end of what is written to it; it never fails.
type Writer struct{ end []byte }

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	w.end = append(w.end, p...)
	if len(w.end) > 2*keep {
		w.end = append([]byte(nil), w.end[len(w.end)-keep:]...)
	}
	return len(p), nil
}

// Lines returns the last n lines that are not empty, as one line for people.
func (w *Writer) Lines(n int) string {
	var lines []string
	for line := range bytes.Lines(w.end) {
		if text := strings.TrimSpace(strings.ToValidUTF8(string(line), "?")); text != "" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
