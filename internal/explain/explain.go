package explain

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// Question is one alert, and the world in which it is looked at.
type Question struct {
	Alert *backout.Alert
	At    time.Time
	// Rules are the names of those that are asked about; none means all.
	Rules []string
	World rules.World
	// Follows says what follows from a verdict. It may give the verdict another
	// mode.
	Follows func(v *backout.Verdict) Outcome
}

// Outcome is what follows from a verdict.
type Outcome struct {
	trigger.Next
	// Holds are what a rollback would wait for beside what Next says.
	Holds []string
}

// Answer says what the set makes of the alert: what matched first, then by how
// little it misses.
func Answer(set *rules.Set, q Question) handlers.Explained {
	list := set.Explain(q.Alert, q.World, q.At, q.Rules...)
	rules.Rank(list)
	out := handlers.Explained{Alert: *q.Alert, At: q.At, Rules: make([]handlers.ExplainedRule, len(list))}
	for i := range list {
		out.Rules[i] = answer(&list[i], q)
	}
	return out
}

func answer(e *rules.Explanation, q Question) handlers.ExplainedRule {
	r := handlers.ExplainedRule{
		Rule: e.Rule, Group: e.Group, Mode: e.Mode, Target: e.Target, ChangeID: e.ChangeID, Matched: e.Matched, Guard: e.Guard,
		Parts: parts(e.Parts), Waiting: e.Waiting, Error: e.Error, Misses: e.Misses(),
	}
	if e.Verdict == nil {
		r.Why = whyNot(e)
		return r
	}
	v := *e.Verdict
	next := q.Follows(&v)
	r.Mode, r.Follows, r.Stopped = v.Mode, string(next.Do), next.Stopped
	if v.Mode == backout.ModeShadow && v.Stopped == "" && next.Do == trigger.Record {
		r.Stopped = "the rule is in mode shadow"
		if next.Stopped != "" {
			r.Stopped += "; " + next.Stopped
		}
	}
	plan := q.plan(&v)
	if next.Do == trigger.Open {
		r.Holds = holds(next, plan)
	}
	r.Why = then(&r, next, plan)
	return r
}

// plan is the plan by which the verdict's change goes back; nil when it has none.
func (q Question) plan(v *backout.Verdict) *backout.Plan {
	for _, c := range q.World.ChangesOn(v.Target) {
		if c.ID == v.ChangeID && c.Frozen != nil {
			return &c.Frozen.Plan
		}
	}
	return nil
}

func parts(list []rules.Part) []handlers.ExplainPart {
	if len(list) == 0 {
		return nil
	}
	out := make([]handlers.ExplainPart, len(list))
	for i, p := range list {
		out[i] = handlers.ExplainPart{
			Kind: p.Kind, Text: p.Text, Held: p.Held, Failed: p.Failed, Unknown: p.Unknown, Error: p.Error, Op: p.Op, Parts: parts(p.Parts),
		}
	}
	return out
}

// whyNot says what kept a rule from matching.
func whyNot(e *rules.Explanation) string {
	failed := e.Failed()
	switch {
	case e.Guard != "":
		return e.Guard
	case e.Error != "":
		return "it failed, and counts as not matched: " + e.Error
	case failed == nil:
		return "it did not match"
	case failed.Unknown != "":
		return failed.Text + " is not known: " + failed.Unknown
	}
	return failed.Text + " does not hold"
}

// holds lists what a rollback waits for before its first step.
func holds(next Outcome, plan *backout.Plan) []string {
	var list []string
	if !next.StartAfter.IsZero() {
		list = append(list, "the alert to stay red until "+next.StartAfter.UTC().Format(time.RFC3339))
	}
	why := next.AskFirst
	if plan != nil && next.StartAt < len(plan.Levels) {
		level := &plan.Levels[next.StartAt]
		switch {
		case plan.DataMigration == backout.DataMigrationForwardOnly:
			why = cmp.Or(why, "the patch moved data forward only")
		case level.Approval.Mode == backout.ApprovalRequired:
			why = cmp.Or(why, level.Name+" needs one by its plan")
		case level.Approval.Mode == backout.ApprovalVeto && why == "":
			list = append(list, level.Name+"'s veto window of "+level.Approval.Veto.String())
		}
	}
	if why != "" {
		list = append(list, "an approval: "+why)
	}
	return append(list, next.Holds...)
}

// then says what follows from a match.
func then(r *handlers.ExplainedRule, next Outcome, plan *backout.Plan) string {
	switch next.Do {
	case trigger.Record:
		return "it matches, and that is only recorded: " + r.Stopped
	case trigger.Evidence:
		return "it matches, and the alert becomes further evidence: " + r.Stopped
	case trigger.Open:
		return opens(r, next, plan)
	case trigger.Nothing:
	}
	return "it matches, and nothing follows: " + cmp.Or(r.Stopped, "the change is not known any more")
}

func opens(r *handlers.ExplainedRule, next Outcome, plan *backout.Plan) string {
	what := r.Target
	if len(next.Targets) > 1 || len(next.Targets) == 1 && next.Targets[0] != r.Target {
		what = fmt.Sprintf("%d targets", len(next.Targets))
	}
	level := fmt.Sprintf("L%d", next.StartAt+1)
	if plan != nil && next.StartAt < len(plan.Levels) {
		level = plan.Levels[next.StartAt].Name
	}
	text := fmt.Sprintf("it matches: a rollback of %s opens, from %s", what, level)
	if len(r.Holds) > 0 {
		text += ", and waits for " + strings.Join(r.Holds, "; and for ")
	}
	return text
}
