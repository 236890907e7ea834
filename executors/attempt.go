package executors

import (
	"context"
	"fmt"
	"io"
	"maps"

	"github.com/backout-io/backout"
)

// Attempt runs one command line on the target under the task's attempt and
// follows it to its end. It may be called again with the same attempt: what was
// started is attached to, and its output comes from the beginning. An exit code
// other than 0 is an error beside the outcome; an end nobody knows is
// [backout.ErrInDoubt].
func Attempt(ctx context.Context, t backout.Task, h backout.Host, e backout.Exec, out io.Writer) (backout.Outcome, error) {
	if err := h.Start(ctx, t.AttemptID, e); err != nil {
		return backout.Outcome{}, err
	}
	report, err := h.Attach(ctx, t.AttemptID, 0, out)
	if err != nil {
		return backout.Outcome{}, err
	}
	switch report.State {
	case backout.AttemptFinished:
		o := backout.Outcome{ExitCode: report.ExitCode, FinishedAt: report.FinishedAt, Summary: fmt.Sprintf("exit code %d", report.ExitCode)}
		if report.ExitCode != 0 {
			return o, fmt.Errorf("%s ended with exit code %d", e.Argv[0], report.ExitCode)
		}
		return o, nil
	case backout.AttemptUnknown:
		return backout.Outcome{}, fmt.Errorf("%w: %s", backout.ErrInDoubt, report.Detail)
	case backout.AttemptNotStarted:
		return backout.Outcome{}, fmt.Errorf("%w: its record is gone from the target", backout.ErrInDoubt)
	case backout.AttemptRunning:
	}
	return backout.Outcome{}, fmt.Errorf("attach ended while the attempt is %s", report.State)
}

// Facts are the BACKOUT_* variables of the task: those it carries, and those
// that follow from it.
func Facts(t backout.Task) map[string]string {
	address := t.Target.Address
	if address == "" {
		address = t.Target.Name
	}
	facts := map[string]string{
		"BACKOUT_ATTEMPT":        t.AttemptID,
		"BACKOUT_ROLLBACK_ID":    t.RollbackID,
		"BACKOUT_CHANGE_ID":      t.ChangeID,
		"BACKOUT_LEVEL":          t.Level,
		"BACKOUT_TARGET":         t.Target.Name,
		"BACKOUT_TARGET_ADDRESS": address,
	}
	maps.Copy(facts, t.Facts)
	return facts
}
