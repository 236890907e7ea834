// Package planhash binds plans by their content: what was approved, and what a
// window was opened under, is what runs.
//
// It is pure: no clock, no I/O.
package planhash

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/backout-io/backout"
)

// Freeze returns a copy of the plan that shares no memory with it, and the hash
// of the copy's canonical JSON: keys sorted, no white space, numbers as written.
// The same content has the same hash on every machine; a frozen plan freezes to
// itself.
//
// A section that is not JSON cannot come from a loaded plan. It is frozen as the
// JSON text of its bytes, so that two that differ still differ.
func Freeze(p backout.Plan) backout.FrozenPlan {
	data := canonical(encode(quoted(p)))
	var frozen backout.Plan
	if err := json.Unmarshal(data, &frozen); err != nil {
		// What was encoded from a plan decodes into one.
		panic("freeze plan: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return backout.FrozenPlan{Plan: frozen, Hash: "sha256:" + hex.EncodeToString(sum[:])}
}

// Matches tells whether the frozen plan still has the hash it says.
func Matches(f backout.FrozenPlan) bool { return Freeze(f.Plan).Hash == f.Hash }

// quoted replaces sections that are not JSON.
func quoted(p backout.Plan) backout.Plan {
	section := func(raw json.RawMessage) json.RawMessage {
		if len(raw) == 0 || json.Valid(raw) {
			return raw
		}
		return encode(string(raw))
	}
	all := func(steps []backout.Step) []backout.Step {
		out := make([]backout.Step, len(steps))
		for i, s := range steps {
			s.With = section(s.With)
			out[i] = s
		}
		return out
	}
	levels := make([]backout.Level, len(p.Levels))
	for i, l := range p.Levels {
		l.Steps = all(l.Steps)
		levels[i] = l
	}
	p.Levels = levels
	// No steps must stay none: plans without them keep their hash.
	if p.Baseline.Steps != nil {
		p.Baseline.Steps = all(p.Baseline.Steps)
	}
	p.Cleanup = all(p.Cleanup)
	checks := make([]backout.Check, len(p.Verify.Checks))
	for i, c := range p.Verify.Checks {
		c.With = section(c.With)
		checks[i] = c
	}
	p.Verify.Checks = checks
	return p
}

// encode writes what always can be written: a plan with valid sections, or what
// was decoded from one.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("encode plan: " + err.Error())
	}
	return data
}

// canonical sorts the keys of sections too; their own order is as they came.
func canonical(data []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		panic("read plan: " + err.Error())
	}
	return encode(tree)
}
