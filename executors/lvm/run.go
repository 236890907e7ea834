package lvm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// run runs a script under the task's attempt; its failure says how it ended.
func run(ctx context.Context, t backout.Task, h backout.Host, out io.Writer, script string, args ...string) (backout.Outcome, error) {
	last := &tail{out: out}
	outcome, err := executors.Attempt(ctx, t, h, backout.Exec{Argv: append([]string{"sh", "-c", script, "sh"}, args...), Env: executors.Facts(t)}, last)
	if err != nil && outcome.ExitCode != 0 {
		return outcome, fmt.Errorf("exit code %d: %s", outcome.ExitCode, last.text())
	}
	return outcome, err
}

// tail keeps the end of what is written through it.
type tail struct {
	out  io.Writer
	kept []byte
}

// Write implements [io.Writer].
func (w *tail) Write(p []byte) (int, error) {
	w.kept = append(w.kept, p...)
	w.kept = w.kept[max(0, len(w.kept)-2000):]
	return w.out.Write(p)
}

// text is the last lines, as one.
func (w *tail) text() string {
	lines := strings.Split(strings.TrimSpace(string(w.kept)), "\n")
	lines = lines[max(0, len(lines)-4):]
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return strings.Join(lines, "; ")
}

// unreadable is the no of a target that cannot be looked at.
func unreadable(err error) []backout.Violation {
	var no violations
	fix := "look at the target; lvs must answer to root"
	if errors.Is(err, errMissing) {
		fix = "install the package lvm2, or use another way to snapshot"
	}
	no.no("lvm", fix, "%v", err)
	return no
}
