package replay

import (
	"iter"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// Delivery is one alert as it came in.
type Delivery struct {
	At    time.Time
	Alert backout.Alert
}

// History is what happened.
type History struct {
	Inventory map[string]backout.Target
	// Changes are changes as they stood at the end: when they opened, were patched
	// and ended is read from them. Their rollbacks are ignored.
	Changes []backout.Change
	// Alerts come in the order of their times; one that is earlier than the one
	// before it is an error. An error ends the run.
	Alerts iter.Seq2[Delivery, error]
	// Watchdog are the alerts that say only that monitoring is there: nothing is judged
	// by them.
	Watchdog rules.Matchers
	// Signals says how Alertmanager treated an alert at a time; nil knows nothing.
	Signals func(at time.Time, fingerprint string) (silenced, inhibited, asked bool)
	// Query answers PromQL queries of rules at a time; nil answers none.
	Query func(at time.Time, query, target string) (float64, error)
}

// Options say how it runs.
type Options struct {
	// Pulse is how often what is red is judged again, at whole multiples of it; 0
	// means 5 s, as the server does.
	Pulse time.Duration
	// Until is when it ends; zero means with the last delivery or look.
	Until time.Time
	// Modes says what a rule may do; nil means what its file says.
	Modes func(r rules.Rule) backout.Mode
	// Looks are moments at which Look is called with the world as it stands, after
	// everything that happens at that moment.
	Looks []time.Time
	Look  func(at time.Time, w rules.World)
	// Judged is called whenever the rules are asked about an alert, with the world as
	// they see it. It costs time: without it they are not asked where nothing new can
	// follow.
	Judged func(a *backout.Alert, w rules.World, at time.Time)
}

// Event is one thing that would have happened. Repetitions of the same verdict on
// the same firing are told once.
type Event struct {
	At      time.Time       `json:"at"`
	Verdict backout.Verdict `json:"verdict"`
	Do      trigger.Do      `json:"do"`
	// Targets, StartAt, AskFirst and StartAfter are those of a rollback that opens.
	Targets    []string  `json:"targets,omitempty"`
	StartAt    int       `json:"start_at,omitempty"`
	AskFirst   string    `json:"ask_first,omitempty"`
	StartAfter time.Time `json:"start_after,omitzero"`
	// RollbackID names the rollback that opens, or gets evidence: CHANGE-r1 and so
	// on.
	RollbackID string `json:"rollback_id,omitempty"`
	// Cancelled is set for a rollback that was waiting (for its time, or an
	// approval) when its alerts resolved; then Verdict is the one that opened it, and
	// nothing is to do.
	Cancelled bool `json:"cancelled,omitempty"`
	// Error is set when the rule failed; then only Rule, Group and ChangeID of the
	// verdict are known.
	Error string `json:"error,omitempty"`
}

// Summary is what a run looked at.
type Summary struct {
	Alerts int `json:"alerts"`
	// Changes are those that were live at some time of the run.
	Changes int `json:"changes"`
	// From is the time of the first delivery, Until when the run ended.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Verdicts are those that were told: recorded, evidence, or opening a rollback.
	Verdicts int `json:"verdicts"`
	Opened   int `json:"opened"`
	Errors   int `json:"errors"`
}
