// Package tail keeps the end of what a program says, to tell why it failed.
package tail

import (
	"bytes"
	"strings"
)

// usual is how much of the end is kept when nothing is said.
const usual = 4 << 10

// Writer keeps the end of what is written to it; it never fails.
type Writer struct {
	// Limit is how many bytes are kept at least; zero means 4 KiB.
	Limit int
	end   []byte
}

func (w *Writer) limit() int {
	if w.Limit > 0 {
		return w.Limit
	}
	return usual
}

// Write implements [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	w.end = append(w.end, p...)
	if keep := w.limit(); len(w.end) > 2*keep {
		w.end = append(w.end[:0], w.end[len(w.end)-keep:]...)
	}
	return len(p), nil
}

// Bytes is the end, at most Limit bytes; to be read before the next Write.
func (w *Writer) Bytes() []byte { return w.end[max(0, len(w.end)-w.limit()):] }

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
