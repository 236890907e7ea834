package remote

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/runner"
)

const (
	// errandPatience is how long one asking for an errand may take: the runner answers
	// after [errandPoll], whether there is something to tell or not.
	errandPatience = errandPoll + 5*time.Second
	// errandTries is how many runners are tried when one after the other is gone.
	errandTries = 3
	// errandMost is how long an errand may take at all.
	errandMost = time.Hour
)

// Capture looks at the target through a runner of its site. It may take long, and
// its answer is larger than a message.
func (s *Site) Capture(ctx context.Context, l runner.CaptureLook) (backout.Inventory, error) {
	var seen backout.Inventory
	e := &errand{Call: rand.Text(), Target: l.Target, ChangeID: l.ChangeID, AIDE: l.AIDE, Plan: l.Frozen, Mark: s.hub.o.Mark}
	if err := s.errand(ctx, opCapture, e, &seen); err != nil {
		return backout.Inventory{}, fmt.Errorf("capture: %w", err)
	}
	if seen.Schema == 0 {
		return backout.Inventory{}, fmt.Errorf("capture: %w: it is no inventory", errNonsense)
	}
	return seen, nil
}

// Tend runs an errand through a runner of the target's site, or through another one
// when that is gone: the target runs it once.
func (s *Site) Tend(ctx context.Context, plan backout.FrozenPlan, what runner.Errand, t backout.Task) (backout.Prepared, error) {
	var made backout.Prepared
	t.PlanHash = plan.Hash
	err := s.errand(ctx, opTend, &errand{Call: rand.Text(), Plan: plan, Mark: s.hub.o.Mark, Errand: what, Task: &t}, &made)
	if err != nil {
		return backout.Prepared{}, fmt.Errorf("%s: %w", what, err)
	}
	if len(made.Facts) > madeMost {
		return backout.Prepared{}, fmt.Errorf("%s: %w: it made %d things", what, errNonsense, len(made.Facts))
	}
	if made.Uses != "" {
		made.Uses = t.Step.Uses
	}
	return made, nil
}

// errand has a runner do it, and decodes its answer.
func (s *Site) errand(ctx context.Context, o op, e *errand, into any) error {
	ctx, cancel := context.WithTimeout(ctx, errandMost)
	defer cancel()
	var asked []string
	var last error
	for range errandTries {
		address := s.hub.choose(ctx, s.name, asked)
		if address == "" {
			break
		}
		e.Again = len(asked) > 0
		asked = append(asked, address)
		data, err := s.errandBy(ctx, address, o, e)
		if err == nil {
			return unpack(data, into)
		}
		if last = err; !errors.Is(err, errRunnerGone) {
			break
		}
	}
	if last == nil {
		last = fmt.Errorf("look: %w", bus.ErrNobody)
	}
	return s.explain(last)
}

// errRunnerGone says that the runner which was asked is not there any more.
var errRunnerGone = errors.New("the runner is gone")

// errandBy asks one runner until all of the answer is here.
func (s *Site) errandBy(ctx context.Context, address string, o op, e *errand) ([]byte, error) {
	mine := *e
	lost := newLost()
	var data []byte
	for {
		mine.Offset = len(data)
		once, cancel := context.WithTimeout(ctx, errandPatience)
		r, err := s.ask(once, address, order{Op: o, Errand: &mine})
		cancel()
		switch {
		case errors.As(err, new(refusal)) && strings.HasSuffix(err.Error(), errLeaving.Error()):
			return nil, fmt.Errorf("%w: %w", errRunnerGone, err)
		case errors.As(err, new(refusal)):
			return nil, s.older(address, err)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, errNonsense):
			return nil, err
		case errors.Is(err, bus.ErrNobody) && s.hub.left(address), err != nil && (lost.over(err) || !wait(ctx, again)):
			return nil, fmt.Errorf("%w: %s: %w", errRunnerGone, nameOf(address), err)
		case err != nil:
			continue
		}
		lost = newLost()
		var whole bool
		if data, whole, err = r.taken(data); whole || err != nil {
			return data, err
		}
	}
}

// taken adds what the answer brings to what is there.
func (r *reply) taken(data []byte) (_ []byte, whole bool, _ error) {
	switch s := r.Errand; {
	case s == nil:
		return nil, false, fmt.Errorf("%w: it says nothing of the errand", errNonsense)
	case s.Fault != nil:
		return nil, false, fmt.Errorf("runner %s: %w", r.Runner, s.Fault.err())
	case s.Running:
		return data, false, nil
	case s.Offset != len(data) || len(s.Piece) == 0:
		return nil, false, fmt.Errorf("%w: %d bytes from byte %d on, and %d are here", errNonsense, len(s.Piece), s.Offset, len(data))
	default:
		data = append(data, s.Piece...)
		return data, len(data) == s.Size, nil
	}
}

// older says so where a runner's release does not know the order.
func (s *Site) older(address string, err error) error {
	if !strings.HasSuffix(err.Error(), notAnOrder) {
		return err
	}
	for _, r := range s.hub.Runners() {
		if r.Address == address {
			return fmt.Errorf("%w: its release is %s, which knows no captures and errands: run the same release of backout on both sides", err, r.Release)
		}
	}
	return err
}

// err is the error as the built-in runner would have told it, as far as anybody
// tells it apart.
func (f *fault) err() error {
	switch f.Kind {
	case faultMissing:
		return &capture.MissingError{Part: f.Part, Tool: f.Tool, Package: f.Package}
	case faultInvalid:
		return told{f.Text, backout.ErrInvalid}
	case faultBusy:
		return told{f.Text, capture.ErrBusy}
	case faultUnreachable:
		return told{f.Text, attempt.ErrUnreachable}
	case faultInDoubt:
		return told{f.Text, backout.ErrInDoubt}
	case faultPermanent:
		return backout.Permanent(errors.New(f.Text))
	}
	return errors.New(f.Text)
}

// told is an error that came as text, and is of a kind.
type told struct {
	text string
	kind error
}

// Error implements error.
func (t told) Error() string { return t.text }

// Unwrap is its kind.
func (t told) Unwrap() error { return t.kind }

// faultOf is the error as text, with its kind.
func faultOf(err error) *fault {
	f := &fault{Text: clip(err.Error(), textMost)}
	missing := &capture.MissingError{}
	switch {
	case errors.As(err, &missing):
		f.Kind, f.Part, f.Tool, f.Package = faultMissing, missing.Part, missing.Tool, missing.Package
	case errors.Is(err, backout.ErrInvalid):
		f.Kind = faultInvalid
	case errors.Is(err, capture.ErrBusy):
		f.Kind = faultBusy
	case errors.Is(err, attempt.ErrUnreachable):
		f.Kind = faultUnreachable
	case errors.Is(err, backout.ErrInDoubt):
		f.Kind = faultInDoubt
	case backout.IsPermanent(err):
		f.Kind = faultPermanent
	}
	return f
}

// pack is the answer of an errand on its way.
func pack(answer any) ([]byte, error) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	err := json.NewEncoder(zip).Encode(answer)
	if err = errors.Join(err, zip.Close()); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	if packed.Len() > packedMost {
		return nil, fmt.Errorf("its answer takes %d bytes, and %d is the most", packed.Len(), packedMost)
	}
	return packed.Bytes(), nil
}

// unpack decodes it, and takes no more from a runner than an honest one would send.
func unpack(data []byte, into any) error {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("%w: %w", errNonsense, err)
	}
	text, err := io.ReadAll(io.LimitReader(zip, unpackedMost+1))
	if err == nil && len(text) > unpackedMost {
		err = fmt.Errorf("more than %d bytes", unpackedMost)
	}
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNonsense, err)
	}
	return nil
}
