package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/runner"
)

const (
	// absence is how long nobody may listen where a runner was: it has ended, or
	// lost its connection.
	absence = 2 * time.Second
	// again is the pause before something is asked once more.
	again = 200 * time.Millisecond
	// searchMost is the longest pause between two offers of a claimed attempt.
	searchMost = 5 * time.Second
	// stopPatience is how long a claimed attempt that is to end waits for a runner;
	// then nobody can tell what became of it.
	stopPatience = time.Minute
	// leastTurn is how long one turn of watching takes at least, however fast the
	// runner answers.
	leastTurn = 2 * time.Millisecond
	// watchPatience is how long one watching may take.
	watchPatience = pollMost + time.Second
)

// held is an attempt that this server has carried out by a site.
type held struct {
	site *Site
	job  runner.Job
	work work
	log  *slog.Logger

	claimed  bool
	deadline time.Time
	offset   int64 // of the live output
	kept     []byte
	answer   *answer
	// tired are the runners that have not reached the target for a while, by name,
	// the latest last.
	tired []string

	mu     sync.Mutex
	stop   string
	giveUp string
	since  time.Time // when it was first to end
	poll   context.CancelFunc
}

// wish notes what the runner is to be told, and has it told now.
func (h *held) wish(note func(*held)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	note(h)
	if h.since.IsZero() {
		h.since = time.Now()
	}
	if h.poll != nil {
		h.poll()
	}
}

func (s *Site) carry(ctx context.Context, j runner.Job, resumed bool) runner.Result {
	h := &held{site: s, job: j, claimed: resumed, deadline: j.Task.Deadline, work: work{
		Task: j.Task, Frozen: j.Frozen, Gate: gateOf(j.Task.ChangeID, j.Task.Target.Name, j.Gate), Mark: s.hub.o.Mark, Boot: j.Boot, Holder: rand.Text(),
	}, log: s.hub.o.Log.With("rollback_id", j.Task.RollbackID, "target", j.Task.Target.Name, "attempt", j.Task.AttemptID, "site", s.name)}
	s.mu.Lock()
	_, taken := s.held[j.Task.AttemptID]
	if !taken {
		s.held[j.Task.AttemptID] = h
	}
	s.mu.Unlock()
	if taken {
		return runner.Result{Err: fmt.Errorf("attempt %s is being carried out: %w", j.Task.AttemptID, backout.ErrExists), Unclaimed: true}
	}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held, j.Task.AttemptID)
	}()
	return h.toTheEnd(ctx)
}

// toTheEnd finds a runner, follows it, and finds the next one when it is gone.
func (h *held) toTheEnd(ctx context.Context) runner.Result {
	said := ""
	for pause := again; ; pause = min(2*pause, searchMost) {
		began := time.Now()
		r, err := h.once(ctx)
		switch {
		case err == nil:
			return r
		case ctx.Err() != nil:
			return runner.Result{Err: context.Cause(ctx), Interrupted: h.claimed, Unclaimed: !h.claimed}
		case !h.claimed:
			if h.site.untold(err.Error()) {
				h.log.Warn("no runner takes the attempt, it waits", "reason", err.Error())
			}
			return runner.Result{Err: err, Unclaimed: true}
		case h.overdue():
			return runner.Result{Err: fmt.Errorf("it was to end, and nobody can look: %w", err), InDoubt: true}
		}
		if err.Error() != said {
			said = err.Error()
			h.log.Warn("attempt has no runner, looking for one", "reason", said)
		}
		if time.Since(began) > searchMost {
			pause = again
		}
		if !wait(ctx, pause) {
			return runner.Result{Err: context.Cause(ctx), Interrupted: true}
		}
	}
}

// overdue tells that the attempt was to end, or should have, too long ago to go on
// looking for somebody who can tell.
func (h *held) overdue() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	late := !h.deadline.IsZero() && time.Since(h.deadline) > stopPatience
	return late || !h.since.IsZero() && time.Since(h.since) > stopPatience
}

// once has one runner carry it out. An error means that another is to be found.
func (h *held) once(ctx context.Context) (runner.Result, error) {
	h.work.Resume, h.work.Task.Deadline = h.claimed, h.deadline
	address, err := h.site.offer(ctx, &h.work, h.tired)
	if err != nil {
		return runner.Result{}, err
	}
	if err := h.tell(ctx, address, order{Op: opTake, Work: &h.work}); err != nil {
		return runner.Result{}, err
	}
	return h.follow(ctx, address)
}

// tell sends an order to one runner until it has answered, or is gone.
func (h *held) tell(ctx context.Context, address string, o order) error {
	lost := newLost()
	for {
		once, cancel := context.WithTimeout(ctx, watchPatience)
		_, err := h.site.ask(once, address, o)
		cancel()
		if err == nil || errors.As(err, new(refusal)) {
			return err
		}
		if h.lost(ctx, lost, address, err) {
			return h.gone(address, err)
		}
	}
}

// lost tells whether the runner that did not answer is gone; while it may be there
// it pauses.
func (h *held) lost(ctx context.Context, l *lost, address string, err error) bool {
	left := errors.Is(err, bus.ErrNobody) && h.site.hub.left(address)
	return left || errors.Is(err, errNonsense) || l.over(err) || !wait(ctx, again)
}

func (h *held) gone(address string, err error) error {
	return fmt.Errorf("runner %s of site %s is gone: %w", nameOf(address), h.site.name, err)
}

// follow watches the runner, answers its questions, and returns the result. An
// error means that the runner is gone.
func (h *held) follow(ctx context.Context, address string) (runner.Result, error) {
	lost := newLost()
	h.kept = nil
	for {
		turn := time.Now()
		r, err := h.watch(ctx, address)
		switch {
		case err == nil:
			lost = newLost()
		case errors.As(err, new(refusal)):
			return h.refused(err)
		case ctx.Err() != nil:
			return runner.Result{}, ctx.Err()
		case errors.Is(err, errNewWish):
			continue
		default:
			if h.lost(ctx, lost, address, err) {
				return runner.Result{}, h.gone(address, err)
			}
			continue
		}
		if result, ended, err := h.heed(ctx, address, r.State); ended {
			return result, err
		}
		wait(ctx, leastTurn-time.Since(turn))
	}
}

// refused tells what to make of a runner that does not let itself be watched.
func (h *held) refused(err error) (runner.Result, error) {
	if r := (refusal{}); errors.As(err, &r) && r.moved {
		return runner.Result{Err: err, Interrupted: h.claimed, Unclaimed: !h.claimed}, nil
	}
	return runner.Result{}, err
}

var errNewWish = errors.New("there is something new to tell")

// watch asks once what is new.
func (h *held) watch(ctx context.Context, address string) (reply, error) {
	once, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	h.mu.Lock()
	w := &watch{
		Attempt: h.job.Task.AttemptID, Holder: h.work.Holder, Offset: h.offset, Kept: len(h.kept), Answer: h.answer, Stop: h.stop, GiveUp: h.giveUp,
	}
	h.poll = cancel
	h.mu.Unlock()
	r, err := h.site.ask(once, address, order{Op: opWatch, Watch: w})
	h.mu.Lock()
	h.poll = nil
	h.mu.Unlock()
	switch {
	case err == nil && r.State == nil:
		return r, errors.New("its answer says nothing")
	case err != nil && once.Err() != nil && ctx.Err() == nil && !errors.Is(once.Err(), context.DeadlineExceeded):
		return r, errNewWish
	}
	return r, err
}

// heed does what follows from what the runner says.
func (h *held) heed(ctx context.Context, address string, s *state) (_ runner.Result, ended bool, _ error) {
	h.print(s)
	switch {
	case s.Ask != nil && (h.answer == nil || h.answer.Number != s.Ask.Number):
		if err := h.reply(ctx, address, s.Ask); err != nil {
			h.letGo(ctx, address, err.Error())
			return runner.Result{Err: fmt.Errorf("claim attempt: %w", err), Unclaimed: true}, true, nil
		}
	case s.Result != nil && s.Result.Interrupted:
		return runner.Result{}, true, fmt.Errorf("runner %s of site %s lets go of it: %s", nameOf(address), h.site.name, s.Result.Error)
	case s.Result != nil && s.Result.Unclaimed && h.claimed:
		// It gave up waiting for the claim that has been made meanwhile.
		return runner.Result{}, true, h.gone(address, errors.New("it did not get to know of its claim"))
	case s.Result != nil:
		if len(h.kept)+len(s.Kept) > s.KeptSize {
			return runner.Result{}, true, h.gone(address, fmt.Errorf("%w: more than the %d bytes of output that it kept", errNonsense, s.KeptSize))
		}
		if h.kept = append(h.kept, s.Kept...); len(h.kept) < s.KeptSize {
			return runner.Result{}, false, nil
		}
		h.letGo(ctx, address, "thank you")
		return s.Result.result(h.kept), true, nil
	}
	return runner.Result{}, false, nil
}

// print hands on the output that is new, and says how much nobody has any more.
func (h *held) print(s *state) {
	end := s.Offset + int64(len(s.Output))
	if end <= h.offset || len(s.Output) == 0 {
		return
	}
	if live := h.job.Live; live != nil {
		if missed := s.Offset - h.offset; missed > 0 {
			_, _ = fmt.Fprintf(live, "\n[%d bytes left out]\n", missed)
		}
		_, _ = live.Write(s.Output[max(0, h.offset-s.Offset):])
	}
	h.offset = end
}

// reply answers the runner's question with the next watching. An error means that
// the claim failed.
func (h *held) reply(ctx context.Context, address string, q *ask) error {
	a := &answer{Number: q.Number}
	switch {
	case q.What == askClaim && !h.claimed:
		if h.job.Claim != nil {
			deadline, err := h.job.Claim(ctx, runner.Claimed{Via: nameOf(address), Boot: q.Boot})
			if err != nil {
				return err
			}
			if !deadline.IsZero() {
				h.deadline = deadline
			}
		}
		h.claimed = true
		h.work.Boot = q.Boot
		a.Deadline = h.deadline
	case q.What == askClaim:
		a.Deadline = h.deadline
	case q.What == askBegin:
		if h.job.Begin != nil {
			if err := h.job.Begin(ctx); err != nil {
				a.No = clip(err.Error(), 300)
			}
		}
	case q.What == askHandOver && h.claimed && h.site.hub.others(h.site.name, nameOf(address)):
		h.tired = slices.DeleteFunc(h.tired, func(name string) bool { return name == nameOf(address) })
		h.tired = append(h.tired, nameOf(address))
	case q.What == askHandOver:
		a.No = "no other runner is there"
	default:
		a.No = "this server does not know the question"
	}
	h.answer = a
	return nil
}

// letGo tells the runner that it need not keep the attempt, if it hears it.
func (h *held) letGo(ctx context.Context, address, why string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := h.site.ask(ctx, address, order{Op: opRelease, Release: &release{Attempt: h.job.Task.AttemptID, Holder: h.work.Holder, Reason: clip(why, 300)}})
	if err != nil {
		h.log.Debug("runner not told that the attempt is over for it", "runner", nameOf(address), "error", err)
	}
}

// result is what the runner said, as the built-in one would have.
func (r *result) result(output []byte) runner.Result {
	out := runner.Result{Outcome: r.Outcome, Unclaimed: r.Unclaimed, InDoubt: r.InDoubt, Output: output}
	if r.Error != "" {
		out.Err = errors.New(r.Error)
	}
	if out.Err == nil && (r.Unclaimed || r.InDoubt) {
		out.Err = errors.New("the runner does not say why")
	}
	return out
}

// lost decides when a runner that does not answer is gone.
type lost struct{ since, nobody time.Time }

func newLost() *lost { return &lost{since: time.Now()} }

// over takes one more failure, and tells whether it is the last one.
func (l *lost) over(err error) bool {
	now := time.Now()
	if !errors.Is(err, bus.ErrNobody) {
		l.nobody = time.Time{}
	} else if l.nobody.IsZero() {
		l.nobody = now
	}
	return now.Sub(l.since) > silence || !l.nobody.IsZero() && now.Sub(l.nobody) > absence
}

// wait pauses, and reports whether the context goes on.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
