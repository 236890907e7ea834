package lvm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/tail"
)

// run runs a script under the task's attempt; its failure says how it ended.
func run(ctx context.Context, t backout.Task, h backout.Host, out io.Writer, script string, args ...string) (backout.Outcome, error) {
	var said tail.Writer
	outcome, err := executors.Attempt(ctx, t, h, backout.Exec{Argv: append([]string{"sh", "-c", script, "sh"}, args...), Env: executors.Facts(t)}, io.MultiWriter(out, &said))
	if err != nil && outcome.ExitCode != 0 {
		return outcome, fmt.Errorf("exit code %d: %s", outcome.ExitCode, said.Lines(4))
	}
	return outcome, err
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
