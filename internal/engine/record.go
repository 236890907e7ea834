package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/gate"
)

// Records is an ITSM system with a record for each change.
type Records interface {
	// Record reads the record; what it returns with an error still says whose it is.
	Record(ctx context.Context, c backout.ChangeSpec) (backout.ITSMRecord, error)
}

// recordTimeout bounds what an ITSM system may take to answer.
const recordTimeout = 30 * time.Second

// askRecord asks for the change's record; nil where there is nobody to ask. What
// cannot be asked is an answer that the gate refuses. Only the gate asks: no rollback
// ever waits for an ITSM system.
func (cfg *Config) askRecord(ctx context.Context, c backout.Change) *gate.ITSM {
	if cfg.Records == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	r, err := cfg.Records.Record(ctx, c.ChangeSpec)
	r.Plan = clip(strings.TrimSpace(r.Plan), reasonMax)
	r.Approval, r.State = clip(r.Approval, reasonMax), clip(r.State, reasonMax)
	switch {
	case err == nil:
		return &gate.ITSM{Record: r}
	case errors.Is(err, backout.ErrNotFound):
		return &gate.ITSM{Unknown: fmt.Sprintf("%s has no record %q", r.System, r.ID), Fix: "make it there, or name another in the change's label " + backout.LabelRecord}
	}
	fix := "wait until it answers, then check the gate again"
	if backout.IsPermanent(err) {
		fix = "mend what it says, then check the gate again"
	}
	return &gate.ITSM{Unknown: fmt.Sprintf("%s cannot be asked for %s: %s", r.System, r.ID, clip(err.Error(), reasonMax)), Fix: fix}
}
