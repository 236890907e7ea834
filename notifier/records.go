package notifier

import (
	"context"

	"github.com/backout-io/backout"
)

// Records is a notifier whose system keeps a record for each change, such as a
// change request. The gate asks it before a window opens.
type Records interface {
	backout.Notifier
	// Readable says which key of its section is missing for records to be read; nil
	// when they can be.
	Readable() error
	// Record reads the change's record, named by [backout.ITSMID]. The error wraps
	// [backout.ErrNotFound] when the system answers and has none of that name.
	Record(ctx context.Context, c backout.ChangeSpec) (backout.ITSMRecord, error)
}
