package executors

import (
	"errors"
	"fmt"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

// CheckChange refuses a change whose id cannot be part of names on a target.
func CheckChange(id string) error {
	if attempt.CheckID(id) != nil {
		return fmt.Errorf("change %q cannot name anything on a target: want letters, digits, dot, underline and dash", id)
	}
	return nil
}

// Mark is the text by which what an attempt makes on a target is known as its own:
// the change's id, a dash, and what is the attempt's, without a dash. So the marks of
// a change are told from those of another one whose id begins as its own does.
func Mark(t backout.Task) (string, error) {
	if err := errors.Join(CheckChange(t.ChangeID), attempt.CheckID(t.AttemptID)); err != nil {
		return "", backout.Permanent(err)
	}
	return t.ChangeID + "-" + strings.ReplaceAll(strings.TrimPrefix(t.AttemptID, t.ChangeID+"-"), "-", "_"), nil
}

// IsMark tells whether the text is a mark of the change.
func IsMark(text, changeID string) bool {
	rest, ok := strings.CutPrefix(text, changeID+"-")
	return ok && rest != "" && !strings.Contains(rest, "-")
}

// BeforePatch refuses a task that comes when the patch may have been applied: what is
// made of the target then has the patch in it, and takes the place of what leads back.
func BeforePatch(t backout.Task) error {
	if t.Opened || t.Delta != nil {
		return backout.Permanent(errors.New("the window has been opened: what is made of the target now has the patch in it"))
	}
	return nil
}
