package runner

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// longestLine is how much of a line is held back until its end is seen.
const longestLine = 64 << 10

// output takes what an executor writes, hides secrets, keeps the head and the
// tail, and copies everything to live as it appears.
//
// An executor that is called again writes from the beginning; rewind makes the
// output swallow what it has seen.
type output struct {
	mu     sync.Mutex
	redact *redactor
	live   io.Writer
	line   []byte
	seen   int64 // bytes taken so far
	skip   int64 // bytes still to swallow

	most    int // bytes kept of each of head and tail
	head    []byte
	tail    []byte
	dropped int64
}

func newOutput(most int, secrets []string, live io.Writer) *output {
	return &output{redact: newRedactor(secrets), live: live, most: most / 2}
}

func (o *output) rewind() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.skip = o.seen
}

// pass says that the writer leaves out so many bytes that were seen before.
func (o *output) pass(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.skip -= min(o.skip, n)
}

// Write implements [io.Writer]. It never fails: a reader that is gone must not
// end a step.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := len(p)
	swallow := min(o.skip, int64(len(p)))
	o.skip -= swallow
	p = p[swallow:]
	o.seen += int64(len(p))
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n') + 1
		if end == 0 {
			o.line = append(o.line, p...)
			break
		}
		o.line = append(o.line, p[:end]...)
		p = p[end:]
		o.flush(len(o.line))
	}
	for len(o.line) > longestLine {
		at := o.redact.cut(o.line, longestLine/2)
		if at <= 0 {
			at = longestLine / 2
		}
		o.flush(at)
	}
	return all, nil
}

func (o *output) flush(n int) {
	text := o.redact.line(o.line[:n])
	o.line = append(o.line[:0:0], o.line[n:]...)
	if o.live != nil {
		_, _ = o.live.Write(text)
	}
	room := min(o.most-len(o.head), len(text))
	o.head = append(o.head, text[:room]...)
	o.tail = append(o.tail, text[room:]...)
	if over := len(o.tail) - 2*o.most; over > 0 {
		o.drop(len(o.tail) - o.most)
	}
}

func (o *output) drop(n int) {
	o.dropped += int64(n)
	o.tail = append(o.tail[:0], o.tail[n:]...)
}

// bytes returns what was kept, with a mark where something was left out.
func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.line) > 0 {
		o.flush(len(o.line))
	}
	if over := len(o.tail) - o.most; over > 0 {
		o.drop(over)
	}
	all := bytes.Clone(o.head)
	if o.dropped > 0 {
		all = fmt.Appendf(all, "\n[%d bytes left out]\n", o.dropped)
	}
	return append(all, o.tail...)
}
