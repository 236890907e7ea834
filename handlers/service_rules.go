package handlers

import (
	"context"
	"time"

	"github.com/backout-io/backout"
)

// Rules is what the API needs of rules.
type Rules interface {
	// ListRules lists the rules of the config with what they may do and how they
	// have done, in the order of their files.
	ListRules(ctx context.Context) ([]RuleStatus, error)
	// Explain says what every rule makes of one alert.
	Explain(ctx context.Context, r ExplainRequest) (Explained, error)
	// RedAlerts lists at most so many of the alerts that fire now, those on targets
	// of live changes first, the newest first, and says how many there are.
	RedAlerts(ctx context.Context, most int) (list []RedAlert, all int, err error)
	// PromoteRule lets a rule do more, or less.
	PromoteRule(ctx context.Context, by Actor, rule string, p Promotion) (RuleStatus, error)
	// JudgeRule says whether a person agrees with what a rule said of a change.
	JudgeRule(ctx context.Context, by Actor, changeID, rule string, j backout.Judgement) (backout.Change, error)
	// History calls fn with what came in and what became of it between the times,
	// in order: first the changes whose windows were open then, then their rollbacks,
	// then the posts, then the end.
	History(ctx context.Context, since, until time.Time, fn func(HistoryEntry) error) error
}

// RuleStatus is one rule as the server knows it.
type RuleStatus struct {
	Rule        string   `json:"rule"`
	Group       string   `json:"group"`
	File        string   `json:"file"`
	Line        int      `json:"line,omitempty"`
	Match       []string `json:"match,omitempty"`
	When        string   `json:"when,omitempty"`
	TargetLabel string   `json:"target_label"`
	Hash        string   `json:"hash"`
	// Throttle is what keeps it from acting too soon and too often.
	Throttle backout.Throttle `json:"throttle,omitzero"`
	// FileMode is what the file says, Mode what the rule may do now; Why says why
	// that is less.
	FileMode backout.Mode `json:"file_mode"`
	Mode     backout.Mode `json:"mode"`
	Why      string       `json:"why,omitempty"`
	// Promotion is the last word on what it may do and on what evidence, nil when
	// nobody has said any; History are the last 50, the newest first.
	Promotion *Promoted  `json:"promotion,omitempty"`
	History   []Promoted `json:"history,omitempty"`
	Score     RuleScore  `json:"score"`
	// LastVerdict is when it matched last; zero when it never did.
	LastVerdict time.Time `json:"last_verdict,omitzero"`
}

// RuleScore is how a rule has done, counted in changes that it spoke of with the
// content it has now.
type RuleScore struct {
	// Agreed and Disagreed are by a person's judgement or, without one, by what
	// became of the change; Open are those nobody can tell of yet.
	Agreed    int `json:"agreed"`
	Disagreed int `json:"disagreed"`
	Open      int `json:"open"`
	// ByPeople of the agreed and disagreed are judged by a person.
	ByPeople int `json:"by_people"`
	// Precision is Agreed over both, 0 to 1; 0 when there are none.
	Precision float64 `json:"precision"`
}

// Promotion asks that a rule may do as much as Mode.
type Promotion struct {
	Mode   backout.Mode `json:"mode"`
	Reason string       `json:"reason"`
	// Hash is that of the rule as the person knows it; when it is given and the rule
	// says something else by now, nothing is promoted.
	Hash string `json:"hash,omitempty"`
}

// Promoted is who let a rule act, and what was known of it then.
type Promoted struct {
	Mode backout.Mode `json:"mode"`
	// Lowered says that it takes something from the rule: it counts also where no
	// promotion is required.
	Lowered bool      `json:"lowered,omitempty"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Hash    string    `json:"hash"`
	Score   RuleScore `json:"score"`
}

// ExplainRequest asks about one alert: given whole, or one that the server has
// seen, by its fingerprint.
type ExplainRequest struct {
	Alert       *backout.Alert `json:"alert,omitempty"`
	Fingerprint string         `json:"fingerprint,omitempty"`
	// ChangeIDs ask about these changes, live or not; none means those live on the
	// alert's target.
	ChangeIDs []string `json:"change_ids,omitempty"`
	// Rule asks about one rule; empty means all.
	Rule string `json:"rule,omitempty"`
	// At is the moment; zero means now. Changes are taken as they stood then.
	At time.Time `json:"at,omitzero"`
}

// Explained is what every rule makes of an alert.
type Explained struct {
	Alert backout.Alert `json:"alert"`
	At    time.Time     `json:"at"`
	// Notes say what the answer does not know, or takes for granted.
	Notes []string `json:"notes,omitempty"`
	// Rules are those that match first, then by how little they miss.
	Rules []ExplainedRule `json:"rules"`
	// Said is what the logs of the changes say of the alert: what really followed.
	Said []string `json:"said,omitempty"`
}

// ExplainedRule is what one rule makes of the alert and one change.
type ExplainedRule struct {
	Rule     string       `json:"rule"`
	Group    string       `json:"group"`
	Mode     backout.Mode `json:"mode"`
	Target   string       `json:"target,omitempty"`
	ChangeID string       `json:"change_id,omitempty"`
	Matched  bool         `json:"matched"`
	// Why says in one line what follows, or why nothing does.
	Why string `json:"why"`
	// Follows is what follows from a match: nothing, record, evidence or open.
	Follows string `json:"follows,omitempty"`
	// Guard is the reason no rule can change, Stopped what kept a rule that
	// matched from acting; empty when nothing did.
	Guard   string `json:"guard,omitempty"`
	Stopped string `json:"stopped,omitempty"`
	// Holds are what a rollback that opens would wait for before it starts.
	Holds []string      `json:"holds,omitempty"`
	Parts []ExplainPart `json:"parts"`
	// Waiting tells that only a query keeps the rule from matching, whose value is
	// not known yet.
	Waiting bool   `json:"waiting,omitempty"`
	Error   string `json:"error,omitempty"`
	// Misses is how many conditions, the guard included, did not hold.
	Misses int `json:"misses"`
}

// Acts tells whether the rule would open a rollback.
func (r *ExplainedRule) Acts() bool { return r.Follows == "open" }

// ExplainPart is one condition with what was found.
type ExplainPart struct {
	// Kind is match or when.
	Kind string `json:"kind"`
	Text string `json:"text"`
	Held bool   `json:"held"`
	// Failed marks the part that kept the rule, or the "and" that it stands in, from
	// holding: the first that does not.
	Failed bool `json:"failed,omitempty"`
	// Unknown says why nobody can tell whether it holds.
	Unknown string `json:"unknown,omitempty"`
	Error   string `json:"error,omitempty"`
	// Op is and, or, not for a part that is made of Parts.
	Op    string        `json:"op,omitempty"`
	Parts []ExplainPart `json:"parts,omitempty"`
}

// RedAlert is one alert that fires now, on a target.
type RedAlert struct {
	Target string        `json:"target"`
	Alert  backout.Alert `json:"alert"`
	// ChangeIDs are the live changes on the target.
	ChangeIDs []string `json:"change_ids,omitempty"`
}
