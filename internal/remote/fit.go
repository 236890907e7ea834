package remote

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/backout-io/backout"
)

// What a server takes from a runner, whose credentials may be in wrong hands: so
// much of each text, in characters, and of everything else.
const (
	nameMost       = 64
	textMost       = 500
	violationsMost = 20
	// keptMost is the most that a runner keeps of an attempt's output, in bytes: what
	// it keeps by default, and the line about what is left out.
	keptMost = 1<<20 + 64
	// offsetMost is more than any attempt prints.
	offsetMost = 1 << 50
	// heldMost is how many held packages a step may tell of, heldName how long each
	// name may be.
	heldMost = 2_000
	heldName = 200
	// packedMost and unpackedMost are the most that the answer of an errand takes,
	// in bytes: an inventory of many thousand packages takes a tenth of it.
	packedMost   = 8 << 20
	unpackedMost = 64 << 20
	// madeMost is how many facts an errand may bring back.
	madeMost = 1_000
	// slotsMost is the most that max_steps of a runner's file can be.
	slotsMost = 10_000
)

// errNonsense is an answer that no runner gives. There is no use in asking again.
var errNonsense = errors.New("its answer makes no sense")

// addressForm is a runner's name and a word for its present life: two tokens of a
// subject.
var addressForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.[a-z0-9]{1,32}$`)

// fit clips every text of the answer and refuses sizes that no runner has. After it
// nothing in the answer is larger than what these bounds say, but the pieces of
// output, which are as large as NATS lets a message be.
func (r *reply) fit() error {
	r.Runner, r.Refused, r.Detail = clip(r.Runner, nameMost), clip(r.Refused, textMost), clip(r.Detail, textMost)
	r.Loses = clip(r.Loses, textMost)
	if r.Refused == "" && !addressForm.MatchString(r.Address) {
		return fmt.Errorf("%w: %q is no address", errNonsense, clip(r.Address, nameMost))
	}
	if len(r.Violations) > violationsMost {
		r.Violations = slices.Clone(r.Violations[:violationsMost])
	}
	for i := range r.Violations {
		v := &r.Violations[i]
		v.Check, v.Target, v.Level = clip(v.Check, nameMost), clip(v.Target, nameMost), clip(v.Level, nameMost)
		v.Reason, v.Fix = clip(v.Reason, textMost), clip(v.Fix, textMost)
	}
	if r.Errand != nil {
		if err := r.Errand.fit(); err != nil {
			return err
		}
	}
	if r.State == nil {
		return nil
	}
	return r.State.fit()
}

func (e *errandState) fit() error {
	if f := e.Fault; f != nil {
		f.Text, f.Kind = clip(f.Text, textMost), faultKind(clip(string(f.Kind), nameMost))
		f.Part, f.Tool, f.Package = clip(f.Part, nameMost), clip(f.Tool, nameMost), clip(f.Package, nameMost)
	}
	if e.Size < 0 || e.Size > packedMost || e.Offset < 0 || e.Offset+len(e.Piece) > e.Size {
		return fmt.Errorf("%w: %d bytes from byte %d on of %d", errNonsense, len(e.Piece), e.Offset, e.Size)
	}
	return nil
}

// outcome clips what a step tells of itself. What it made is of no use here: only
// errands make something.
func outcome(o *backout.Outcome) {
	o.Summary, o.Facts = clip(o.Summary, textMost), nil
	o.Held = slices.Clone(o.Held[:min(len(o.Held), heldMost)])
	for i := range o.Held {
		o.Held[i] = clip(o.Held[i], heldName)
	}
}

func (s *state) fit() error {
	if q := s.Ask; q != nil {
		q.Number, q.What, q.Boot = clip(q.Number, nameMost), clip(q.What, nameMost), clip(q.Boot, nameMost)
	}
	if r := s.Result; r != nil {
		r.Error = clip(r.Error, textMost)
		outcome(&r.Outcome)
	}
	switch {
	case s.Offset < 0 || s.Offset > offsetMost:
		return fmt.Errorf("%w: output from byte %d on", errNonsense, s.Offset)
	case s.KeptSize < 0 || s.KeptSize > keptMost:
		return fmt.Errorf("%w: it kept %d bytes of output, and %d is the most", errNonsense, s.KeptSize, keptMost)
	}
	return nil
}
