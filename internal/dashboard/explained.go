package dashboard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// keptExplained is how many rollbacks' explanations are kept.
	keptExplained = 64
	// explaining is how long a page waits for one, and tryAgain how long it does without
	// after that could not be had.
	explaining = 3 * time.Second
	tryAgain   = time.Minute
)

// explanations keeps why rollbacks were opened: the past does not change, and to explain
// it compiles every rule.
type explanations struct {
	mu   sync.Mutex
	kept map[string]explained
}

type explained struct {
	rule *ui.ExplainedRule
	why  string // it is not known
	at   time.Time
}

// explainedOf says what the rule saw that opened the rollback, or why that is not known.
// It tells of an alert that came in, so whoever looks must be one who may read all: then
// it is the same for everybody.
func (d *Dashboard) explainedOf(ctx context.Context, q *query, r *backout.Rollback) (rule *ui.ExplainedRule, unknown string) {
	v := r.Trigger.Verdict
	if v == nil {
		return nil, ""
	}
	if !d.o.Services.May(q.by, access.ActionRead, nil) {
		return nil, "it tells of alerts, which takes a role that holds everywhere"
	}
	e := &d.explanations
	e.mu.Lock()
	kept, ok := e.kept[r.ID]
	e.mu.Unlock()
	if ok && (kept.rule != nil || q.now.Sub(kept.at) < tryAgain) {
		return kept.rule, kept.why
	}
	ctx, cancel := context.WithTimeout(ctx, explaining)
	defer cancel()
	out := explained{at: q.now}
	var err error
	if out.rule, err = d.explainTrigger(ctx, r, v); err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err.Error() // of this reader alone
		}
		out.why = err.Error()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kept) >= keptExplained {
		e.forgetOldest()
	}
	if e.kept == nil {
		e.kept = map[string]explained{}
	}
	e.kept[r.ID] = out
	return out.rule, out.why
}

func (e *explanations) forgetOldest() {
	var oldest string
	for id, kept := range e.kept {
		if oldest == "" || kept.at.Before(e.kept[oldest].at) {
			oldest = id
		}
	}
	delete(e.kept, oldest)
}

func (d *Dashboard) explainTrigger(ctx context.Context, r *backout.Rollback, v *backout.Verdict) (*ui.ExplainedRule, error) {
	answer, err := d.o.Services.Rules.Explain(ctx, handlers.ExplainRequest{Fingerprint: v.Fingerprint, ChangeIDs: []string{r.ChangeID}, Rule: v.Rule, At: v.At})
	if err != nil {
		return nil, err
	}
	for i := range answer.Rules {
		if said := &answer.Rules[i]; said.Rule == v.Rule {
			rule := shownExplained(said)
			rule.Parts = conditions(said.Parts)
			return &rule, nil
		}
	}
	return nil, fmt.Errorf("rule %s is not there any more", v.Rule)
}

func conditions(list []handlers.ExplainPart) []ui.Part {
	out := make([]ui.Part, len(list))
	for i, p := range list {
		out[i] = ui.Part{Text: p.Text, Held: p.Held, Failed: p.Failed, Unknown: p.Unknown, Error: p.Error, Parts: conditions(p.Parts)}
	}
	return out
}
