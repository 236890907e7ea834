package replay

import (
	"cmp"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/trigger"
)

// Report is what a run says, beside what people did.
type Report struct {
	Summary Summary `json:"summary"`
	// Rows are the rollbacks that would have been opened and the verdicts that would
	// only have been recorded, in the order of their times.
	Rows []Row `json:"rows"`
	// Missed are real rollbacks on whose targets no rule would have opened one.
	Missed []Did `json:"missed"`
	// Agreed and Disagreed count the rows that open a rollback, by what people did;
	// Undecided are those nobody can tell of.
	Agreed    int `json:"agreed"`
	Disagreed int `json:"disagreed"`
	Undecided int `json:"undecided"`
	// Failed are rules that failed, each with its first error.
	Failed []Failed `json:"failed"`
}

// Row is a rollback that would have been opened, or with no RollbackID what a rule
// said of a change for one and the same reason.
type Row struct {
	At         time.Time    `json:"at"`
	ChangeID   string       `json:"change_id"`
	Rule       string       `json:"rule"`
	Hash       string       `json:"hash,omitempty"`
	Mode       backout.Mode `json:"mode"`
	RollbackID string       `json:"rollback_id,omitempty"`
	Targets    []string     `json:"targets"`
	// Level is where it would have begun.
	Level string `json:"level,omitempty"`
	// Alert and Target are those of the first verdict.
	Alert  string `json:"alert"`
	Target string `json:"target"`
	// Verdicts counts those on different firings, further evidence included.
	Verdicts int `json:"verdicts"`
	// AskFirst says what an approval would have been asked for; StartAfter when it
	// would have begun; CancelledAt when the alerts had resolved before.
	AskFirst    string    `json:"ask_first,omitempty"`
	StartAfter  time.Time `json:"start_after,omitzero"`
	CancelledAt time.Time `json:"cancelled_at,omitzero"`
	// Stopped says what kept the rule from acting.
	Stopped string `json:"stopped,omitempty"`
	// Did is what people and rules really did to these targets; Ended how the change
	// ended, if it has.
	Did     []Did               `json:"did"`
	Ended   backout.ChangeState `json:"ended,omitempty"`
	Outcome change.Outcome      `json:"outcome,omitempty"`
}

// Did is a rollback that really was.
type Did struct {
	ChangeID   string                 `json:"change_id"`
	RollbackID string                 `json:"rollback_id"`
	Targets    []string               `json:"targets"`
	At         time.Time              `json:"at,omitzero"`
	By         string                 `json:"by,omitempty"`
	Rule       string                 `json:"rule,omitempty"`
	Reason     string                 `json:"reason,omitempty"`
	Approved   []string               `json:"approved,omitempty"`
	Denied     []string               `json:"denied,omitempty"`
	Status     backout.RollbackStatus `json:"status"`
	EndedAt    time.Time              `json:"ended_at,omitzero"`
}

// Failed is a rule that failed.
type Failed struct {
	Rule  string `json:"rule"`
	Error string `json:"error"`
	Times int    `json:"times"`
}

// Past is what really became of the changes.
type Past struct {
	Changes []backout.Change
	// Rollbacks may lack some: then only what their change says of them is known.
	Rollbacks []Rollback
}

// Rollback is a rollback that was, with the votes on its questions.
type Rollback struct {
	backout.Rollback
	Votes []backout.Vote
}

// Reporter makes a report of the events of a run.
type Reporter struct {
	// Only, if it is not empty, is the one rule that is reported on.
	Only string
	rows []*Row
	// open are the rows by rollback, said those by rule, change and reason.
	open   map[string]*Row
	said   map[said]*Row
	failed map[string]*Failed
}

type said struct{ rule, change, stopped string }

// NewReporter returns one that has heard nothing.
func NewReporter(only string) *Reporter {
	return &Reporter{Only: only, open: map[string]*Row{}, said: map[said]*Row{}, failed: map[string]*Failed{}}
}

// Take takes in the next event. It never fails, so that it can be handed to [Run].
func (p *Reporter) Take(e Event) error {
	v := e.Verdict
	if p.Only != "" && v.Rule != p.Only {
		return nil
	}
	switch {
	case e.Error != "":
		if p.failed[v.Rule] == nil {
			p.failed[v.Rule] = &Failed{Rule: v.Rule, Error: e.Error}
		}
		p.failed[v.Rule].Times++
	case e.Cancelled:
		if row := p.open[e.RollbackID]; row != nil {
			row.CancelledAt = e.At
		}
	case e.Do == trigger.Open:
		row := newRow(e)
		row.RollbackID, row.Targets, row.AskFirst, row.StartAfter = e.RollbackID, e.Targets, e.AskFirst, e.StartAfter
		row.Level = v.StartAt
		p.open[e.RollbackID] = row
		p.rows = append(p.rows, row)
	case e.Do == trigger.Evidence && p.open[e.RollbackID] != nil:
		p.open[e.RollbackID].Verdicts++
	default:
		p.note(e)
	}
	return nil
}

func newRow(e Event) *Row {
	v := e.Verdict
	return &Row{
		At: e.At, ChangeID: v.ChangeID, Rule: v.Rule, Hash: v.RuleHash, Mode: v.Mode, Targets: []string{v.Target},
		Alert: v.AlertName, Target: v.Target, Verdicts: 1, Stopped: v.Stopped,
	}
}

// note adds a verdict that opened nothing to what the rule said before.
func (p *Reporter) note(e Event) {
	k := said{e.Verdict.Rule, e.Verdict.ChangeID, e.Verdict.Stopped}
	row := p.said[k]
	if row == nil {
		p.said[k] = newRow(e)
		p.rows = append(p.rows, p.said[k])
		return
	}
	row.Verdicts++
	if !slices.Contains(row.Targets, e.Verdict.Target) {
		row.Targets = append(row.Targets, e.Verdict.Target)
	}
}

// Report says what was heard, beside what became of the changes.
func (p *Reporter) Report(sum Summary, past Past) Report {
	out := Report{Summary: sum, Rows: []Row{}, Missed: []Did{}, Failed: []Failed{}}
	changes := map[string]*backout.Change{}
	for i := range past.Changes {
		changes[past.Changes[i].ID] = &past.Changes[i]
	}
	done := past.done()
	for _, row := range p.rows {
		c := changes[row.ChangeID]
		row.meets(c, done[row.ChangeID])
		if row.RollbackID != "" {
			switch row.Outcome {
			case change.Agreed:
				out.Agreed++
			case change.Disagreed:
				out.Disagreed++
			default:
				out.Undecided++
			}
		}
		out.Rows = append(out.Rows, *row)
	}
	slices.SortStableFunc(out.Rows, func(a, b Row) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ChangeID, b.ChangeID)) })
	out.Missed = p.missed(past, done, sum)
	for _, f := range p.failed {
		out.Failed = append(out.Failed, *f)
	}
	slices.SortFunc(out.Failed, func(a, b Failed) int { return cmp.Compare(a.Rule, b.Rule) })
	return out
}

// meets fills in what really happened to the row's targets.
func (r *Row) meets(c *backout.Change, done []Did) {
	r.Did = []Did{}
	for _, d := range done {
		if slices.ContainsFunc(d.Targets, func(t string) bool { return slices.Contains(r.Targets, t) }) {
			r.Did = append(r.Did, d)
		}
	}
	if c.State.Final() {
		r.Ended = c.State
	}
	if r.RollbackID != "" && r.Level == "" && c.Frozen != nil && len(c.Frozen.Plan.Levels) > 0 {
		r.Level = c.Frozen.Plan.Levels[0].Name
	}
	rec := backout.RuleRecord{Rule: r.Rule, Hash: r.Hash, Targets: r.Targets, Verdicts: 1}
	for _, known := range c.Rules {
		if known.Rule == r.Rule && known.Hash == r.Hash {
			rec.Judged = known.Judged
		}
	}
	r.Outcome, _ = change.OutcomeOf(c, &rec)
}

// done lists the real rollbacks by change, oldest first.
func (p Past) done() map[string][]Did {
	known := map[string]Rollback{}
	for _, r := range p.Rollbacks {
		known[r.ID] = r
	}
	out := map[string][]Did{}
	for _, c := range p.Changes {
		for _, ref := range c.Rollbacks {
			d := Did{ChangeID: c.ID, RollbackID: ref.ID, Targets: ref.Targets, At: ref.RequestedAt, Rule: ref.Rule, Status: ref.Status}
			if r, ok := known[ref.ID]; ok {
				d.By, d.Reason, d.EndedAt = r.Trigger.By, r.Trigger.Reason, r.EndedAt
				for _, v := range r.Votes {
					if v.Choice == backout.ChoiceApprove {
						d.Approved = append(d.Approved, v.User)
					} else {
						d.Denied = append(d.Denied, v.User)
					}
				}
			}
			out[c.ID] = append(out[c.ID], d)
		}
	}
	return out
}

// missed are the real rollbacks within the time of the run that no row covers.
func (p *Reporter) missed(past Past, done map[string][]Did, sum Summary) []Did {
	covered := map[[2]string]bool{}
	for _, row := range p.rows {
		for _, target := range row.Targets {
			covered[[2]string{row.ChangeID, target}] = covered[[2]string{row.ChangeID, target}] || row.RollbackID != ""
		}
	}
	list := []Did{}
	for _, c := range past.Changes {
		for _, d := range done[c.ID] {
			outside := d.At.Before(sum.From) || d.At.After(sum.Until)
			if outside || d.Status == backout.RollbackCancelled || slices.ContainsFunc(d.Targets, func(t string) bool { return covered[[2]string{c.ID, t}] }) {
				continue
			}
			list = append(list, d)
		}
	}
	slices.SortStableFunc(list, func(a, b Did) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.RollbackID, b.RollbackID)) })
	return list
}
