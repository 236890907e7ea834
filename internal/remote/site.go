package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/runner"
)

// Site is the runners of one place, to a server like the built-in one. It is safe
// for concurrent use.
type Site struct {
	hub  *Hub
	name string

	mu   sync.Mutex
	held map[string]*held
	// told are the reasons of the last minute for which attempts wait.
	told map[string]time.Time
}

// toldMost bounds the reasons that are remembered, which are runners' words.
const toldMost = 100

// untold tells whether nobody has logged the reason within a minute: many attempts
// may wait for the same.
func (s *Site) untold(reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(s.told, func(_ string, at time.Time) bool { return now.Sub(at) > time.Minute })
	if _, told := s.told[reason]; told || len(s.told) >= toldMost {
		return false
	}
	s.told[reason] = now
	return true
}

// Run has an attempt that has not begun carried out, to its end. While there is
// nobody to do it the result is Unclaimed at once, with the reason: ask again as
// long as it is wanted.
func (s *Site) Run(ctx context.Context, j runner.Job) runner.Result { return s.carry(ctx, j, false) }

// Resume carries on with an attempt that was claimed before: the target is asked
// first. While nobody is there it waits; once it was to stop, for a minute.
func (s *Site) Resume(ctx context.Context, j runner.Job) runner.Result { return s.carry(ctx, j, true) }

// Stop asks for the end of an attempt that is carried out through this site, and
// returns at once; its Run or Resume tells how it ended. Whichever runner has it
// gets to know. For others it is [backout.ErrNotFound].
func (s *Site) Stop(attemptID, reason string) error {
	return s.wish(attemptID, func(h *held) { h.stop = reason })
}

// GiveUp asks that an attempt does not begin any more; one that has begun goes on
// to its end. For others it is [backout.ErrNotFound].
func (s *Site) GiveUp(attemptID, reason string) error {
	return s.wish(attemptID, func(h *held) { h.giveUp = reason })
}

func (s *Site) wish(attemptID string, note func(*held)) error {
	s.mu.Lock()
	h := s.held[attemptID]
	s.mu.Unlock()
	if h == nil {
		return fmt.Errorf("attempt %s at site %s: %w", attemptID, s.name, backout.ErrNotFound)
	}
	h.wish(note)
	return nil
}

// Forget removes what the target keeps of ended attempts.
func (s *Site) Forget(ctx context.Context, t backout.Target, attemptIDs []string) error {
	r, err := s.look(ctx, order{Op: opForget, Forget: &forget{Target: t, Attempts: attemptIDs, Mark: s.hub.o.Mark}})
	if err != nil {
		return fmt.Errorf("forget attempts: %w", err)
	}
	if r.Failed {
		return fmt.Errorf("forget attempts: runner %s: %s", r.Runner, r.Detail)
	}
	return nil
}

// Preflight asks the task's executor, at the site, whether the step would succeed
// on the target now, and what it would lose; the plan is the one that the gate judges. An error means that
// it could not be looked at.
func (s *Site) Preflight(ctx context.Context, plan backout.FrozenPlan, t backout.Task) (runner.Preflighted, error) {
	t.PlanHash = plan.Hash
	r, err := s.look(ctx, order{Op: opPreflight, Preflight: &preflight{Task: t, Frozen: plan, Mark: s.hub.o.Mark}})
	if err != nil {
		return runner.Preflighted{}, err
	}
	if r.Failed {
		return runner.Preflighted{}, fmt.Errorf("runner %s: %s", r.Runner, r.Detail)
	}
	for i := range r.Violations {
		r.Violations[i].Target, r.Violations[i].Level = t.Target.Name, t.Level
	}
	return runner.Preflighted{Violations: r.Violations, Loses: r.Loses}, nil
}

// Check runs one check of the plan, at the site. What cannot be found out is red.
func (s *Site) Check(ctx context.Context, l runner.Look, c backout.Check) checks.Result {
	r, err := s.look(ctx, order{Op: opCheck, Check: &check{Target: l.Target, Frozen: l.Frozen, Gate: gateOf(l.ChangeID, l.Target.Name, l.Gate), Check: c, Mark: s.hub.o.Mark}})
	if err != nil {
		return checks.Result{Detail: err.Error()}
	}
	return checks.Result{Green: r.Green, Detail: r.Detail}
}

// lookAgain is after how long one more runner is asked for the same look: the first
// may have gone right after it got the question. Up to lookTries are asked, and the
// first answer counts; a look changes nothing, so two may take it.
const (
	lookAgain = 5 * time.Second
	lookTries = 3
)

// look asks one runner of the site, and another one while there is no answer. The
// order goes over that runner's own subject: whoever has the credentials of another
// neither hears it nor can answer first.
func (s *Site) look(ctx context.Context, o order) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTries*lookAgain+lookPatience+beginPatience)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	type answer struct {
		reply
		err error
	}
	answers := make(chan answer)
	var asked []string
	open := 0
	ask := func() bool {
		address := s.hub.choose(ctx, s.name, asked)
		if address == "" {
			return false
		}
		asked = append(asked, address)
		open++
		asking.Go(func() {
			once, done := context.WithTimeout(ctx, lookPatience+beginPatience)
			defer done()
			r, err := s.ask(once, address, o)
			select {
			case answers <- answer{r, err}:
			case <-ctx.Done():
			}
		})
		return true
	}
	if !ask() {
		return reply{}, s.explain(fmt.Errorf("look: %w", bus.ErrNobody))
	}
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for tries := 1; ; {
		select {
		case <-ctx.Done():
			return reply{}, s.explain(context.Cause(ctx))
		case a := <-answers:
			open--
			if a.err == nil || errors.As(a.err, new(refusal)) {
				return a.reply, s.explain(a.err)
			}
			// Who is gone does not count; who was silent has been followed already.
			if open == 0 && !(errors.Is(a.err, bus.ErrNobody) && ask()) {
				return reply{}, s.explain(a.err)
			}
		case <-again.C:
			if tries < lookTries && ask() {
				tries++
			}
		}
	}
}

// ask sends an order to one runner, and returns its answer.
func (s *Site) ask(ctx context.Context, address string, o order) (reply, error) {
	o.Site, o.To = s.name, address
	r, err := s.hub.ask(ctx, directed(s.name, address), o)
	if err == nil && r.Address != address {
		return r, fmt.Errorf("%w: %s answered for %s", errNonsense, r.Address, address)
	}
	return r, err
}

// explain says what is wrong with the site in words for people.
func (s *Site) explain(err error) error {
	switch {
	case errors.Is(err, bus.ErrNobody):
		return fmt.Errorf("%w at site %s: start one there with \"backout runner\"", ErrNoRunner, s.name)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no runner at site %s answers: %w", s.name, err)
	}
	return err
}

const (
	// offerPatience is how long runners may think about an offer, and offerChoice how
	// long it stays open for a better one when there is one.
	offerPatience = 2 * time.Second
	offerChoice   = 200 * time.Millisecond
	// refusalsMost is how many are told.
	refusalsMost = 10
)

// offer asks who takes the attempt, and returns the address of the one that carries
// it already, or else is not tired of it, or the longest ago, or has most room.
func (s *Site) offer(ctx context.Context, w *work, tired []string) (address string, err error) {
	m, err := s.hub.message(offers(s.name), order{Op: opOffer, Site: s.name, Work: w})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, offerPatience)
	defer cancel()
	var best reply
	var refusals []string
	answers, all := 0, s.hub.alive(s.name)
	err = s.hub.o.Conn.Gather(ctx, m, func(m bus.Message) bool {
		answers++
		switch r, err := read(m); {
		case err != nil && len(refusals) < refusalsMost:
			refusals = append(refusals, err.Error())
		case err != nil:
		case best.Address == "" || r.before(best, tired):
			best = r
			time.AfterFunc(offerChoice, cancel)
		}
		return !best.Carries && answers < all
	})
	if best.Address != "" {
		return best.Address, nil
	}
	if err == nil && len(refusals) > 0 {
		slices.Sort(refusals)
		return "", errors.New(strings.Join(slices.Compact(refusals), "; "))
	}
	if err == nil {
		err = context.DeadlineExceeded
	}
	return "", s.explain(err)
}

// before tells whether the runner of this answer is to be preferred.
func (r reply) before(other reply, tired []string) bool {
	mine, its := slices.Index(tired, nameOf(r.Address)), slices.Index(tired, nameOf(other.Address))
	switch {
	case r.Carries != other.Carries:
		return r.Carries
	case mine != its:
		return mine < its
	}
	return r.Free > other.Free
}
