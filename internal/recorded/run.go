package recorded

import (
	"context"
	"errors"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/rules"
)

// Trial is a rule set to be run over a past.
type Trial struct {
	Rules     *rules.Set
	Inventory map[string]backout.Target
	// Plans are those of today: changes whose plan was not stored with them get them.
	Plans map[string]backout.Plan
	// Watchdog are the alerts that say only that monitoring is there.
	Watchdog rules.Matchers
	// Only is the one rule that is reported on; empty reports on all.
	Only    string
	Options replay.Options
	// Most is how many things the rules may say; 0 means any number.
	Most int
}

// ErrTooMuch says that the rules said more than [Trial.Most].
var ErrTooMuch = errors.New("the rules say too much about this past")

// Run runs the rules over the past that open opens, and says what they would have done.
// The notes say what people should know of that past. It ends early with the error of ctx
// or of the past, or with [ErrTooMuch].
func Run(ctx context.Context, open Opener, t Trial) (report replay.Report, notes []string, err error) {
	h, err := open(ctx)
	if err != nil {
		return report, nil, err
	}
	defer h.Close()
	freeze(h.Past.Changes, t.Plans)
	reporter, said := replay.NewReporter(t.Only), 0
	take := func(e replay.Event) error {
		if said++; t.Most > 0 && said > t.Most {
			return ErrTooMuch
		}
		return reporter.Take(e)
	}
	past := replay.History{Inventory: t.Inventory, Changes: h.Past.Changes, Alerts: h.Alerts, Watchdog: t.Watchdog}
	sum, err := replay.Run(ctx, t.Rules, past, t.Options, take)
	if err != nil {
		return report, nil, err
	}
	return reporter.Report(sum, h.Past), append([]string{}, h.Notes()...), nil
}

func freeze(changes []backout.Change, plans map[string]backout.Plan) {
	for i := range changes {
		c := &changes[i]
		plan, ok := plans[c.Plan]
		if c.Frozen == nil && ok {
			frozen := planhash.Freeze(plan)
			c.Frozen = &frozen
		}
	}
}
