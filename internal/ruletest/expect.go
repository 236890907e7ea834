package ruletest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/trigger"
)

// seen is what has happened in a test so far.
type seen struct {
	verdicts  []replay.Event // one for each rule, change and target
	rollbacks []replay.Event // those not cancelled
	stopped   []replay.Event // likewise, with all reasons there were
}

func (s *seen) add(e replay.Event) {
	switch {
	case e.Error != "":
		return
	case e.Cancelled:
		s.rollbacks = slices.DeleteFunc(s.rollbacks, func(o replay.Event) bool { return o.RollbackID == e.RollbackID })
		return
	case e.Do == trigger.Open:
		s.rollbacks = append(s.rollbacks, e)
	}
	same := func(o replay.Event) bool {
		return o.Verdict.Rule == e.Verdict.Rule && o.Verdict.ChangeID == e.Verdict.ChangeID && o.Verdict.Target == e.Verdict.Target
	}
	if !slices.ContainsFunc(s.verdicts, same) {
		s.verdicts = append(s.verdicts, e)
	}
	if e.Do != trigger.Record || e.Verdict.Stopped == "" {
		return
	}
	i := slices.IndexFunc(s.stopped, same)
	if i < 0 {
		s.stopped = append(s.stopped, e)
		return
	}
	if why := &s.stopped[i].Verdict.Stopped; !strings.Contains(*why, e.Verdict.Stopped) {
		*why += "; " + e.Verdict.Stopped
	}
}

// entry is one thing that is expected.
type entry struct {
	text string
	fits func(replay.Event) bool
	// rule, change and targets are what it names, for the reasons of its absence.
	rule, change string
	targets      []string
}

func (v verdictSpec) entry() entry {
	return entry{
		text: words("rule", v.Rule.Value, "change", v.Change.Value, "target", v.Target.Value, "mode", v.Mode),
		rule: v.Rule.Value, change: v.Change.Value, targets: some(v.Target.Value),
		fits: func(e replay.Event) bool {
			return fits(v.Rule.Value, e.Verdict.Rule) && fits(v.Change.Value, e.Verdict.ChangeID) && fits(v.Target.Value, e.Verdict.Target) &&
				fits(v.Mode, string(e.Verdict.Mode))
		},
	}
}

func (s stoppedSpec) entry() entry {
	return entry{
		text: words("rule", s.Rule.Value, "change", s.Change.Value, "target", s.Target.Value, "why", s.Why.Value),
		rule: s.Rule.Value, change: s.Change.Value, targets: some(s.Target.Value),
		fits: func(e replay.Event) bool {
			return fits(s.Rule.Value, e.Verdict.Rule) && fits(s.Change.Value, e.Verdict.ChangeID) && fits(s.Target.Value, e.Verdict.Target) &&
				strings.Contains(e.Verdict.Stopped, s.Why.Value)
		},
	}
}

func (r rollbackSpec) entry() entry {
	var targets []string
	for _, t := range r.Targets {
		targets = append(targets, t.Value)
	}
	slices.Sort(targets)
	ask := ""
	if r.AskFirst != nil {
		ask = strconv.FormatBool(*r.AskFirst)
	}
	return entry{
		text: words("change", r.Change.Value, "targets", list(targets), "start_at", r.StartAt.Value, "ask_first", ask, "rule", r.Rule.Value),
		rule: r.Rule.Value, change: r.Change.Value, targets: targets,
		fits: func(e replay.Event) bool {
			return fits(r.Change.Value, e.Verdict.ChangeID) && fits(r.Rule.Value, e.Verdict.Rule) && fits(r.StartAt.Value, level(e)) &&
				(targets == nil || slices.Equal(targets, slices.Sorted(slices.Values(e.Targets)))) &&
				(ask == "" || *r.AskFirst == (e.AskFirst != ""))
		},
	}
}

func entries[S interface{ entry() entry }](specs []S) []entry {
	out := make([]entry, len(specs))
	for i, s := range specs {
		out[i] = s.entry()
	}
	return out
}

// fits tells whether a value is what is asked for; nothing is asked for by "".
func fits(want, got string) bool { return want == "" || want == got }

func some(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

// The texts of what there is, written as what is expected.
func verdictText(e replay.Event) string {
	return words("rule", e.Verdict.Rule, "change", e.Verdict.ChangeID, "target", e.Verdict.Target, "mode", string(e.Verdict.Mode))
}

func stoppedText(e replay.Event) string {
	return words("rule", e.Verdict.Rule, "change", e.Verdict.ChangeID, "target", e.Verdict.Target, "why", e.Verdict.Stopped)
}

func rollbackText(e replay.Event) string {
	return words("change", e.Verdict.ChangeID, "targets", list(slices.Sorted(slices.Values(e.Targets))), "start_at", level(e),
		"ask_first", strconv.FormatBool(e.AskFirst != ""), "rule", e.Verdict.Rule)
}

func level(e replay.Event) string { return "L" + strconv.Itoa(e.StartAt+1) }

func list(names []string) string {
	if names == nil {
		return ""
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// words writes pairs of a key and its value as a mapping, without those that are
// empty.
func words(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		switch value := pairs[i+1]; {
		case value == "":
		case pairs[i] == "why":
			parts = append(parts, fmt.Sprintf("why: %q", value))
		default:
			parts = append(parts, pairs[i]+": "+value)
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// pair gives each thing expected one that fits it, and as many of them as can have
// one: -1 stands for none.
func pair(want []entry, got []replay.Event) (ofWant, ofGot []int) {
	ofWant, ofGot = none(len(want)), none(len(got))
	for i := range want {
		tried := make([]bool, len(got))
		var find func(i int) bool
		find = func(i int) bool {
			for j, e := range got {
				if tried[j] || !want[i].fits(e) {
					continue
				}
				tried[j] = true
				if ofGot[j] < 0 || find(ofGot[j]) {
					ofWant[i], ofGot[j] = j, i
					return true
				}
			}
			return false
		}
		find(i)
	}
	return ofWant, ofGot
}

func none(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = -1
	}
	return out
}
