package rules

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestReadsTime: a fact that time alone changes is known to be one, so that what is
// judged again only when something has happened misses nothing.
func TestReadsTime(t *testing.T) {
	c := change("CHG1", "web-1")
	c.PatchedAt = opened.Add(time.Minute)
	a := alert("alertname", "Down", "instance", "web-1")
	at := func(now time.Time) *facts {
		f := &facts{Now: now, Evidence: backout.Evidence{MinutesSincePatch: now.Sub(c.PatchedAt).Minutes()}}
		f.Alert.set(a, now)
		f.Change.set(c)
		return f
	}
	before, after := at(opened.Add(time.Hour)), at(opened.Add(2*time.Hour))
	for _, fact := range Facts() {
		r, ok := resolve(strings.Split(fact.Name, "."))
		if !ok {
			t.Fatalf("%s is not a fact", fact.Name)
		}
		of := func(f *facts) any { return reflect.ValueOf(f).Elem().FieldByIndex(r.index).Interface() }
		if reflect.DeepEqual(of(before), of(after)) {
			continue
		}
		when, ok := map[string]string{"time": " > change.opened_at", "duration": ` > duration("1m")`, "float": " > 1.0", "int": " > 1", "bool": ""}[fact.Type]
		if !ok {
			t.Fatalf("%s is a %s: say how a rule reads it", fact.Name, fact.Type)
		}
		set := load(t, one("when: "+fact.Name+when))
		if len(set.Rules()) != 1 || !set.Reads(set.Rules()[0].Name).Time {
			t.Errorf("%s differs an hour later, and a rule that reads it is taken for one that does not read the time", fact.Name)
		}
	}
}

func TestReads(t *testing.T) {
	for when, want := range map[string]Reads{
		`change.patched`:                              {},
		`alert.age > duration("2m")`:                  {Time: true},
		`since(change.opened_at) > duration("2m")`:    {Time: true},
		`alert.flaps > 2`:                             {Time: true},
		`evidence.red_targets > 1`:                    {Evidence: true},
		`evidence.minutes_since_patch > 5`:            {Time: true, Evidence: true},
		`change.patched and prom("up{x=\"y\"}") == 0`: {Time: true},
	} {
		set := load(t, one("when: '"+when+"'"))
		if got := set.Reads(set.Rules()[0].Name); got != want {
			t.Errorf("%s reads %+v, want %+v", when, got, want)
		}
	}
	if got := (*Set)(nil).Reads("x"); got != (Reads{}) {
		t.Errorf("no rule reads %+v", got)
	}
}

// settler settles the rules of these names.
type settler struct {
	world
	settled map[string]bool
	asked   []string
}

func (s *settler) Settled(rule string, ch *backout.Change, target, fingerprint string) bool {
	s.asked = append(s.asked, strings.Join([]string{rule, ch.ID, target, fingerprint}, " "))
	return s.settled[rule]
}

func TestWhatIsSettledIsNotTried(t *testing.T) {
	set := load(t, "groups:\n  - name: g\n    rules:\n      - {rule: A, match: ['alertname=\"Down\"']}\n      - {rule: B, match: ['alertname=\"Down\"']}\n      - {rule: C, match: ['alertname=\"Up\"']}\n")
	w := &settler{world: worldOf(change("CHG1", "web-1")), settled: map[string]bool{"A": true}}
	got := set.Match(alert("alertname", "Down", "instance", "web-1"), w, opened.Add(time.Hour)).Verdicts
	if len(got) != 1 || got[0].Rule != "B" {
		t.Errorf("got %v, want a verdict of B only", got)
	}
	if want := []string{"A CHG1 web-1 00000000000000aa", "B CHG1 web-1 00000000000000aa"}; !reflect.DeepEqual(w.asked, want) {
		t.Errorf("asked %v, want %v", w.asked, want)
	}
}
