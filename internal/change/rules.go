package change

import (
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// recordTargets is how many targets a record names.
const recordTargets = 50

func recordVerdict(c backout.Change, v backout.Verdict) ([]backout.Event, error) {
	if !c.State.Live() {
		return nil, refused("alerts count only while it is open or watched; it is %s", c.State)
	}
	if v.ChangeID != c.ID {
		return nil, invalid("the verdict is about change %q", v.ChangeID)
	}
	return []backout.Event{backout.VerdictGiven{Verdict: v}}, nil
}

func judgeRule(c backout.Change, in Input, do JudgeRule) ([]backout.Event, error) {
	if in.By == "" {
		return nil, invalid("nobody judges: a person must")
	}
	r := lastRecord(c, do.Rule)
	if r == nil {
		return nil, fmt.Errorf("rule %s has said nothing of it: %w", do.Rule, backout.ErrNotFound)
	}
	if j := r.Judged; j != nil && j.Agree == do.Agree && j.By == in.By && j.Reason == do.Reason {
		return nil, nil
	}
	return []backout.Event{backout.RuleJudged{Rule: do.Rule, Hash: r.Hash, Agree: do.Agree, By: in.By, Reason: do.Reason}}, nil
}

// lastRecord is that of the rule with the content it spoke with last, or nil.
func lastRecord(c backout.Change, rule string) *backout.RuleRecord {
	var last *backout.RuleRecord
	for i := range c.Rules {
		if r := &c.Rules[i]; r.Rule == rule && (last == nil || r.Last.After(last.Last)) {
			last = r
		}
	}
	return last
}

// applyRequested folds a rollback, and the verdict that opened it.
func applyRequested(c backout.Change, at time.Time, o backout.Opened) backout.Change {
	c.State = backout.ChangeBackingOut
	ref := backout.RollbackRef{
		ID: o.RollbackID, Targets: slices.Clone(o.Targets), Status: backout.RollbackPending, RequestedAt: at,
		StartAt: o.StartAt, Asked: o.AskFirst != "",
	}
	if v := o.Trigger.Verdict; v != nil {
		ref.Rule, ref.RuleHash = v.Rule, v.RuleHash
		c.Rules = spoken(c.Rules, *v, at)
	}
	c.Rollbacks = append(slices.Clone(c.Rollbacks), ref)
	return c
}

// spoken are the records after one more verdict.
func spoken(records []backout.RuleRecord, v backout.Verdict, at time.Time) []backout.RuleRecord {
	records = slices.Clone(records)
	i := recordOf(records, v.Rule, v.RuleHash)
	if i < 0 {
		i = len(records)
		records = append(records, backout.RuleRecord{Rule: v.Rule, Hash: v.RuleHash, First: at})
	}
	r := &records[i]
	r.Mode, r.Last = v.Mode, at
	r.Verdicts++
	if v.Moot {
		r.Moot++
	}
	if v.Target != "" && len(r.Targets) < recordTargets && !slices.Contains(r.Targets, v.Target) {
		r.Targets = append(slices.Clone(r.Targets), v.Target)
	}
	return records
}

func judged(records []backout.RuleRecord, e backout.RuleJudged, at time.Time) []backout.RuleRecord {
	i := recordOf(records, e.Rule, e.Hash)
	if i < 0 {
		return records
	}
	records = slices.Clone(records)
	records[i].Judged = &backout.Judgement{Agree: e.Agree, By: e.By, Reason: e.Reason, At: at}
	return records
}

func recordOf(records []backout.RuleRecord, rule, hash string) int {
	return slices.IndexFunc(records, func(r backout.RuleRecord) bool { return r.Rule == rule && r.Hash == hash })
}
