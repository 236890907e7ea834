// Package saved puts a saved file back.
package saved

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// Restore is the section of a step, and the executor made of it.
type Restore struct {
	File string `json:"file" yaml:"file" doc:"the file that is replaced"`
	From string `json:"from" yaml:"from" doc:"where it was saved; the saved file is moved"`
}

// Kind is the executor "saved.restore".
func Kind() executors.Kind {
	k := executors.Define("saved.restore", "put a saved file back", func(_ context.Context, r Restore) (backout.Executor, error) { return r, nil })
	k.OnOverdue = backout.OverdueStop // a rename is all or nothing
	k.Destructive, k.Loses = true, "what was written to the file since it was saved"
	return k
}

// Validate refuses what could not work on any target. It runs when the plan is read.
func (r *Restore) Validate() error {
	if !path.IsAbs(r.File) || !path.IsAbs(r.From) {
		return errors.New("file and from: give two absolute paths")
	}
	return nil
}

// Execute implements [backout.Executor].
func (r Restore) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	e := backout.Exec{Argv: []string{"mv", "-fT", "--", r.From, r.File}, Env: executors.Facts(t)}
	return executors.Attempt(ctx, t, h, e, out)
}

// Preflight implements [backout.Preflighter]: the gate asks it before the window opens.
func (r Restore) Preflight(ctx context.Context, _ backout.Task, h backout.Host) []backout.Violation {
	switch look, err := h.Run(ctx, backout.Exec{Argv: []string{"test", "-f", r.From}}); {
	case err != nil:
		return []backout.Violation{{Check: "file", Reason: err.Error(), Fix: "make the target reachable"}}
	case look.ExitCode != 0:
		return []backout.Violation{{Check: "file", Reason: fmt.Sprintf("%q is not a file there", r.From), Fix: "save the file before patching"}}
	}
	return nil
}
