package rules

import (
	"reflect"
	"time"

	"github.com/backout-io/backout"
)

// facts is everything a when expression can see. The expression's types, the
// list of [Facts] and the values in reasons all come from this one type; a fact
// without a doc tag fails the tests.
type facts struct {
	Alert    alertFacts       `expr:"alert"`
	Change   changeFacts      `expr:"change"`
	Target   targetFacts      `expr:"target"`
	Evidence backout.Evidence `expr:"evidence"`
	Now      time.Time        `expr:"now" doc:"the moment the alert is looked at"`
	// Queried is the value of prom(). Its name cannot be written in a rule.
	Queried float64 `expr:"prom()"`
}

// boxed is [facts] as expressions are run on it, field by field. What few rules
// read stands behind a pointer, so that it is small.
type boxed struct {
	Alert    alertFacts       `expr:"alert"`
	Change   *changeFacts     `expr:"change"`
	Target   *targetFacts     `expr:"target"`
	Evidence backout.Evidence `expr:"evidence"`
	Now      time.Time        `expr:"now"`
	Queried  float64          `expr:"prom()"`
}

// queried is the name of [facts.Queried].
const queried = "prom()"

type alertFacts struct {
	Name        string            `expr:"name" doc:"the alertname label"`
	Labels      map[string]string `expr:"labels" doc:"the alert's labels; one that is missing reads as empty"`
	Annotations map[string]string `expr:"annotations" doc:"the alert's annotations; one that is missing reads as empty"`
	Fingerprint string            `expr:"fingerprint" doc:"Alertmanager's identity of the label set, 16 hex digits"`
	StartsAt    time.Time         `expr:"starts_at" doc:"since when the alert is firing"`
	Age         time.Duration     `expr:"age" doc:"how long the alert has been firing; never negative"`
	Flaps       int               `expr:"flaps" doc:"how many times the alert has ended and come back on the target within the last hour"`
	Silenced    bool              `expr:"silenced" doc:"whether Alertmanager silences the alert; false while suppression_known is false"`
	Inhibited   bool              `expr:"inhibited" doc:"whether another alert inhibits it in Alertmanager; false while suppression_known is false"`
	Known       bool              `expr:"suppression_known" doc:"whether Alertmanager has said lately how it treats the alert"`
}

type changeFacts struct {
	ID          string            `expr:"id" doc:"the change's id, such as CHG0030001"`
	Title       string            `expr:"title" doc:"the change's title"`
	State       string            `expr:"state" doc:"open, watching or backing_out"`
	Plan        string            `expr:"plan" doc:"the name of the back-out plan"`
	Owner       string            `expr:"owner" doc:"who owns the change"`
	Labels      map[string]string `expr:"labels" doc:"the change's labels; one that is missing reads as empty"`
	TargetCount int               `expr:"target_count" doc:"how many targets the change has"`
	OpenedAt    time.Time         `expr:"opened_at" doc:"when the window opened"`
	Opens       time.Time         `expr:"window_opens" doc:"when the window opens: as planned, or as it was opened, whichever is earlier"`
	Closes      time.Time         `expr:"window_closes" doc:"when the window closes, as planned; a time not known is before every other"`
	Patched     bool              `expr:"patched" doc:"whether patching of all targets is known to be over"`
	PatchedAt   time.Time         `expr:"patched_at" doc:"when patching of all targets was over; a time not known is before every other"`
	Patch       patchFacts        `expr:"patch"`
}

type patchFacts struct {
	Kind string   `expr:"kind" doc:"kb, advisory, packages, image or other"`
	IDs  []string `expr:"ids" doc:"the patch's own names: KB numbers, advisories, packages"`
	CVEs []string `expr:"cves" doc:"the vulnerabilities the patch closes"`
}

type targetFacts struct {
	Name   string            `expr:"name" doc:"the target's name, as the alert's target label gives it"`
	OS     string            `expr:"os" doc:"the target's operating system, as the inventory has it"`
	Site   string            `expr:"site" doc:"the target's site, as the inventory has it"`
	Labels map[string]string `expr:"labels" doc:"the target's labels in the inventory; one that is missing reads as empty"`
	// What follows differs by change.
	Patched        bool      `expr:"patched" doc:"whether patching of this target is known to be over, as told of it alone or of the whole change"`
	PatchedAt      time.Time `expr:"patched_at" doc:"when patching of this target was over; a time not known is before every other"`
	FirstRedAt     time.Time `expr:"first_red_at" doc:"when the first alert began on the target after it was patched; a time not known is before every other"`
	RedBeforePatch bool      `expr:"red_before_patch" doc:"whether an alert began on the target after the window opened and before the target was patched"`
}

func (f *alertFacts) set(a *backout.Alert, now time.Time) {
	*f = alertFacts{
		Name: a.Name(), Labels: a.Labels, Annotations: a.Annotations,
		Fingerprint: a.Fingerprint, StartsAt: a.StartsAt, Age: max(0, now.Sub(a.StartsAt)),
	}
}

func (f *changeFacts) set(c *backout.Change) {
	*f = changeFacts{
		ID: c.ID, Title: c.Title, State: string(c.State), Plan: c.Plan, Owner: c.Owner, Labels: c.Labels,
		TargetCount: len(c.Targets), OpenedAt: c.OpenedAt, Opens: opens(c), Closes: c.Window.Closes,
		Patched: !c.PatchedAt.IsZero(), PatchedAt: c.PatchedAt,
		Patch: patchFacts{Kind: c.Patch.Kind, IDs: c.Patch.IDs, CVEs: c.Patch.CVEs},
	}
}

// opens is when the change's window opens: somebody may open it early.
func opens(c *backout.Change) time.Time {
	if at := c.Window.Opens; !at.IsZero() && at.Before(c.OpenedAt) {
		return at
	}
	return c.OpenedAt
}

// on sets what is known of the target as one of the change.
func (f *targetFacts) on(c *backout.Change) {
	f.PatchedAt = c.PatchedOn(f.Name)
	f.Patched = !f.PatchedAt.IsZero()
}

// know sets what is asked for only where an expression reads it.
func (f *facts) know(s backout.Signals) {
	f.Alert.Flaps, f.Alert.Silenced, f.Alert.Inhibited, f.Alert.Known = s.Flaps, s.Silenced, s.Inhibited, s.Asked
	f.Target.FirstRedAt, f.Target.RedBeforePatch = s.FirstRed, s.RedBeforePatch
}

// fromSignals are the facts that [facts.know] sets.
var fromSignals = []string{
	"alert.flaps", "alert.silenced", "alert.inhibited", "alert.suppression_known", "target.first_red_at", "target.red_before_patch",
}

func (f *targetFacts) set(t backout.Target) {
	*f = targetFacts{Name: t.Name, OS: t.OS, Site: t.Site, Labels: t.Labels}
}

// Fact is one thing a when expression can read or call.
type Fact struct {
	// Name is how it is written: "alert.age".
	Name string `json:"name"`
	// Type is string, int, float, bool, time, duration, list of strings or map
	// of strings.
	Type string `json:"type"`
	Doc  string `json:"doc"`
}

// Facts lists what a when expression can read, in a fixed order.
func Facts() []Fact {
	return appendFacts(nil, "", reflect.TypeFor[facts]())
}

func appendFacts(list []Fact, prefix string, t reflect.Type) []Fact {
	for i := range t.NumField() {
		field := t.Field(i)
		name, ok := field.Tag.Lookup("expr")
		if !ok || name == queried {
			continue
		}
		name = prefix + name
		if kind := factType(field.Type); kind != "" {
			doc := field.Tag.Get("doc")
			if doc == "" {
				doc = evidenceDoc(name)
			}
			list = append(list, Fact{Name: name, Type: kind, Doc: doc})
			continue
		}
		list = appendFacts(list, name+".", field.Type)
	}
	return list
}

// factType names a leaf's type, or returns "" for a group of facts.
func factType(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Time]():
		return "time"
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[map[string]string]():
		return "map of strings"
	case reflect.TypeFor[[]string]():
		return "list of strings"
	}
	switch {
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "bool"
	case t.Kind() == reflect.Int:
		return "int"
	case t.Kind() == reflect.Float64:
		return "float"
	}
	return ""
}

// evidenceDoc documents the fields of [backout.Evidence], whose own comments no
// program can read.
func evidenceDoc(name string) string {
	return map[string]string{
		"evidence.red_targets":         "how many of the change's targets have a firing alert that started after the window opened",
		"evidence.red_share_patched":   "red_targets over the change's targets, 0 to 1",
		"evidence.red_share_unpatched": "the same among the control group: inventory targets outside every live change; 0 when there are none",
		"evidence.red_unpatched":       "how many of the control group are red",
		"evidence.control_targets":     "how many targets the control group has; a share of nothing is 0",
		"evidence.distinct_alerts":     "how many different alert names are firing on the change's red targets",
		"evidence.minutes_since_patch": "minutes since the end of patching, or since the opening while patching is not known to be over",
	}[name]
}
