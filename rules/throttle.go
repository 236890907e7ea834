package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/internal/trigger"
)

// throttleSpec is a throttle as it is written.
type throttleSpec struct {
	Pos        strictyaml.Pos
	OnceWithin strictyaml.At[backout.Duration] `yaml:"once_within" doc:"how long a rule that has acted does not act again; what it says meanwhile is recorded"`
	AtLeast    strictyaml.At[int]              `yaml:"at_least" doc:"how many different alerts on targets must have matched, each within the time of within, before the rule acts"`
	Within     strictyaml.At[backout.Duration] `yaml:"within" doc:"how long a match counts for at_least"`
	Per        strictyaml.At[backout.Per]      `yaml:"per" enum:"change,rule" doc:"what both count for: each change alone (default), or all changes together"`
	Latch      strictyaml.At[bool]             `yaml:"latch" doc:"whether its next rollback at a level is held for an approval once a rollback of the change has begun with that level"`
}

// throttle checks what the rule says of one, and takes it.
func (l *loader) throttle(r *rule, spec *throttleSpec) {
	if spec == nil {
		return
	}
	given := func(at strictyaml.Pos) bool { return at.Line > 0 }
	for name, d := range map[string]strictyaml.At[backout.Duration]{"once_within": spec.OnceWithin, "within": spec.Within} {
		if given(d.Pos) && d.Value <= 0 && l.clean {
			l.problem(d.Pos, name+" must be longer than 0", "write a length of time such as 30m, or remove the key")
		}
	}
	if spec.OnceWithin.Value > backout.Duration(trigger.MaxOnceWithin) {
		l.problem(spec.OnceWithin.Pos, fmt.Sprintf("once_within must be %dd or less", trigger.MaxOnceWithin/(24*time.Hour)), "write a shorter time; nothing remembers a rollback for longer")
	}
	switch count := given(spec.AtLeast.Pos); {
	case count && spec.AtLeast.Value < 1:
		l.problem(spec.AtLeast.Pos, "at_least must be 1 or more", "write how many alerts it takes, or remove the key")
	case spec.AtLeast.Value > trigger.MaxMatches:
		l.problem(spec.AtLeast.Pos, fmt.Sprintf("at_least must be %d or less", trigger.MaxMatches), "write a smaller number; no more alerts are counted")
	case count && !given(spec.Within.Pos):
		l.problem(spec.AtLeast.Pos, "at_least needs within", "say in which time, such as within: 10m")
	case !count && given(spec.Within.Pos):
		l.problem(spec.Within.Pos, "within says nothing without at_least", "say how many alerts it takes, or remove the key")
	case !count && !given(spec.OnceWithin.Pos) && given(spec.Per.Pos):
		l.problem(spec.Per.Pos, "per says nothing without once_within or at_least", "add one of them, or remove the key")
	case !count && !given(spec.OnceWithin.Pos) && !given(spec.Latch.Pos) && l.clean:
		l.problem(spec.Pos, "the throttle says nothing", "give it once_within, at_least with within, or latch, or remove it")
	}
	r.Throttle = backout.Throttle{
		OnceWithin: spec.OnceWithin.Value, AtLeast: spec.AtLeast.Value, Within: spec.Within.Value, Per: spec.Per.Value, Latch: spec.Latch.Value,
	}
	if r.Throttle.Per == "" && (r.Throttle.OnceWithin > 0 || r.Throttle.AtLeast > 0) {
		r.Throttle.Per = backout.PerChange
	}
}

// content is what a rule's hash is of. Its fields are fixed: what people have
// promoted stands under it.
type content struct {
	TargetLabel string           `json:"target_label"`
	Match       []string         `json:"match"`
	When        []string         `json:"when"`
	Scope       backout.Scope    `json:"scope"`
	StartAt     string           `json:"start_at"`
	For         backout.Duration `json:"for"`
	Throttle    backout.Throttle `json:"throttle"`
}

// hashOf identifies what the rule says. The order of matchers and the layout of
// the expression are not part of it.
func hashOf(r *rule) string {
	c := content{
		TargetLabel: r.TargetLabel, Match: slices.Sorted(slices.Values(r.Match)), When: []string{},
		Scope: r.Scope, StartAt: r.StartAt, For: r.For, Throttle: r.Throttle,
	}
	if r.when != nil {
		for _, p := range r.when.parts {
			c.When = append(c.When, p.text)
		}
	}
	data, _ := json.Marshal(c) // texts and numbers only
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
