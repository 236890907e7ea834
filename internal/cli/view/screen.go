package view

import (
	"strconv"
	"strings"
)

// The sequences a redraw is made of. Source: ECMA-48 (CUU, EL, ED) and the
// private modes of xterm (7 autowrap, 25 cursor) and of synchronized output
// (2026); a terminal that does not know a private mode ignores it.
const (
	frameBegin = "\x1b[?2026h\x1b[?25l\x1b[?7l"
	frameEnd   = "\x1b[?7h\x1b[?2026l"
	eraseLine  = "\x1b[K"
	eraseBelow = "\x1b[J"
	// ShowCursor undoes what frames leave behind; write it after the last one.
	ShowCursor = "\x1b[?25h"
)

// Frame is what a terminal must be sent, in one write, to replace the last
// picture of that many lines by the new one. Every line is overwritten and only
// then erased to its end, so nothing flickers.
func Frame(last int, picture string) string {
	var b strings.Builder
	b.WriteString(frameBegin)
	if last > 0 {
		b.WriteString("\r\x1b[" + strconv.Itoa(last) + "A")
	}
	for line := range strings.Lines(picture) {
		b.WriteString(strings.TrimSuffix(line, "\n") + eraseLine + "\r\n")
	}
	b.WriteString(eraseBelow + frameEnd)
	return b.String()
}
