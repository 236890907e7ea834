package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/change"
)

const (
	// keepAnswerTime bounds how long an answer of the gate waits for its table to be
	// stored.
	keepAnswerTime = 5 * time.Second
	// keepAnswerMost is the largest table that is stored, in bytes before it is packed:
	// that of 1,000 targets with 9 levels and 5 checks, all of which say no, has 12 MiB.
	keepAnswerMost = 48 << 20
)

// The checks of warnings that are about the stored answer itself.
const (
	checkStale = "stale"
	checkTable = "table"
)

// keepAnswer stores the whole answer and returns its digest. Where the store does not
// take it in time there is none, and the answer counts all the same. Times are left
// out: an answer that says the same is the same, and the log has its time.
func (e *Engine) keepAnswer(ctx context.Context, id string, g gateCheck) (digest string) {
	kept := g.result(id)
	kept.Passed, kept.At, kept.ValidUntil = false, time.Time{}, time.Time{}
	data, err := json.Marshal(kept)
	if err == nil && len(data) > keepAnswerMost {
		err = fmt.Errorf("it has %d bytes, which is too much to be shown", len(data))
	}
	if err == nil {
		var cancel context.CancelFunc
		ctx, cancel = e.enduring(ctx, keepAnswerTime)
		defer cancel()
		digest, err = e.store.Artifacts.Put(ctx, data)
	}
	if err != nil {
		e.log.Warn("the table of a gate's answer is not stored, the answer counts without it", "change_id", id, "error", err)
		return ""
	}
	return digest
}

// GateAnswer implements [handlers.Insight]. While the change is live it is the answer
// about its readiness that its log has last: one that a survey gave when other checks
// said no than before, or that a person asked for; before the first, the opening's. At
// says which. Whether it is a yes, and until when, is as the change stands now.
//
// Where the table is not stored the reasons are those of the log, of which the longest
// lists are cut, and a warning says so.
func (e *Engine) GateAnswer(ctx context.Context, id string) (handlers.GateResult, error) {
	c, err := e.upToDate(ctx, id)
	if err != nil {
		return handlers.GateResult{}, err
	}
	if c.AnsweredAt.IsZero() {
		return handlers.GateResult{}, fmt.Errorf("answer of the gate about change %s: it was never asked: %w", id, backout.ErrNotFound)
	}
	out, err := e.storedAnswer(ctx, c)
	if err == nil {
		return standing(c, out), nil
	}
	if errors.Is(err, backout.ErrUnavailable) || ctx.Err() != nil {
		return handlers.GateResult{}, fmt.Errorf("answer of the gate about change %s: %w", id, err)
	}
	if c.Answer != "" {
		e.log.Error("the table of a gate's answer cannot be read", "change_id", id, "error", err)
	}
	if out, err = e.loggedAnswer(ctx, c); err != nil {
		return handlers.GateResult{}, fmt.Errorf("answer of the gate about change %s: %w", id, err)
	}
	return standing(c, out), nil
}

// storedAnswer reads what keepAnswer stored of the change's last answer.
func (e *Engine) storedAnswer(ctx context.Context, c backout.Change) (out handlers.GateResult, err error) {
	if c.Answer == "" {
		return out, backout.ErrNotFound
	}
	if out, err = e.found.answer(ctx, e.store.Artifacts, c.Answer); err == nil && out.ChangeID != c.ID {
		return handlers.GateResult{}, fmt.Errorf("artifact %s is no answer about it: %w", c.Answer, backout.ErrNotFound)
	}
	return out, err
}

// loggedAnswer is what the log alone says of the change's last answer.
func (e *Engine) loggedAnswer(ctx context.Context, c backout.Change) (handlers.GateResult, error) {
	entries, err := e.store.Changes.Load(ctx, c.ID)
	if err != nil {
		return handlers.GateResult{}, err
	}
	out := handlers.GateResult{ChangeID: c.ID, PlanHash: c.Certified}
	if c.Frozen != nil {
		out.PlanHash = c.Frozen.Hash
	}
	var then backout.Change
	for _, entry := range entries {
		for _, ev := range entry.Record.Events {
			then = change.Apply(then, entry.Seq, entry.Record.At, ev)
			switch {
			case then.State.Live():
				out.Violations = then.NotReady
			case !then.State.Final(): // the end forgets the reasons
				out.Violations = then.Violations
			}
		}
	}
	note := backout.Violation{Check: checkTable, Reason: "the table of this answer is not stored: what stands here is what the log has of it"}
	if !c.State.Final() {
		note.Fix = "check the gate again"
	}
	out.Warnings = []backout.Violation{note}
	return out, nil
}

// standing says of an answer whether it is a yes by now.
func standing(c backout.Change, out handlers.GateResult) handlers.GateResult {
	out.At = c.AnsweredAt
	switch {
	case c.State == backout.ChangeReady:
		out.Passed, out.ValidUntil = c.Stale == "", c.ValidUntil
		if c.Stale != "" {
			out.Warnings = append(out.Warnings, backout.Violation{Check: checkStale, Reason: "this yes is worth nothing any more: " + c.Stale, Fix: "check the gate again"})
		}
	case c.State.Live():
		out.Passed = len(c.NotReady) == 0
	default:
		out.Passed = c.Certified != "" && len(out.Violations) == 0
	}
	return out
}
