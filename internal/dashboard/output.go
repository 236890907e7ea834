package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/told"
	"github.com/backout-io/backout/internal/ui"
)

// outputTail is how much of an attempt's output the page shows, in bytes; its end.
const outputTail = 16 << 10

// readOutput is how long the page waits for it.
const readOutput = 2 * time.Second

// outputOf is what the attempt has printed. The page is of use without it.
func (d *Dashboard) outputOf(ctx context.Context, r *backout.Rollback, p *past, attempt string) *ui.Output {
	out := &ui.Output{Attempt: attempt}
	if t := p.tries[attempt]; t != nil {
		out.Target, out.State = t.target, t.state
		if t.level >= 0 && t.level < len(r.Frozen.Plan.Levels) && t.step < len(r.Frozen.Plan.Levels[t.level].Steps) {
			s := r.Frozen.Plan.Levels[t.level].Steps[t.step]
			out.Step = told.LevelName(t.level) + ": " + cmp.Or(s.Name, s.Uses)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, readOutput)
	defer cancel()
	data, err := d.o.Services.Rollbacks.StepOutput(ctx, r.ID, attempt)
	switch {
	case errors.Is(err, backout.ErrNotFound) && p.tries[attempt] != nil:
		return out // it has printed nothing yet
	case err != nil:
		out.Unknown = err.Error()
		return out
	}
	tail := tailOf(data)
	out.Cut, out.Text = len(data)-len(tail), readable(tail)
	return out
}

// tailOf is the end of the output, from the beginning of a line where there is one.
func tailOf(data []byte) []byte {
	if len(data) <= outputTail {
		return data
	}
	tail := data[len(data)-outputTail:]
	if i := bytes.IndexByte(tail, '\n'); i >= 0 && i < len(tail)/2 {
		return tail[i+1:]
	}
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	return tail
}

// escapes are what programs send to a terminal to colour and to move the cursor.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\-_])")

// readable is the output without what is for terminals alone: a line that was written
// over and over, as progress is, is as many lines.
func readable(data []byte) string {
	data = escapes.ReplaceAll(data, nil)
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return string(bytes.ReplaceAll(data, []byte("\r"), []byte("\n")))
}
