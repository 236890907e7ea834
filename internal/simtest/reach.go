package simtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host"
)

// For implements the engine's Hosts and the runner's.
func (s *Server) For(t backout.Target) (backout.Host, error) {
	if h := s.w.hosts[t.Name]; h != nil {
		return reach{h, s}, nil
	}
	if t.Transport == "local" {
		return s.here, nil
	}
	return nil, backout.ErrNotFound
}

// Cut takes a target out of this server's reach, or back in. Others may reach it.
func (s *Server) Cut(target string, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut[target] = cut
}

func (s *Server) isCutFrom(target string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut[target]
}

// reach is a target as one server reaches it: connections break between the two.
type reach struct {
	h *Host
	s *Server
}

// noteMissed notes that a call of a server to a target has failed.
func (w *World) noteMissed(server, target string) {
	w.missedMu.Lock()
	defer w.missedMu.Unlock()
	key := server + " " + target
	w.missed[key] = append(w.missed[key], time.Now())
}

// hasMissed tells whether one has between the two.
func (w *World) hasMissed(server, target string, from, to time.Time) bool {
	w.missedMu.Lock()
	defer w.missedMu.Unlock()
	return slices.ContainsFunc(w.missed[server+" "+target], func(at time.Time) bool { return !at.Before(from) && !at.After(to) })
}

// call makes one call, and notes when it fails.
func (r reach) call(ctx context.Context, class []Fault, what string, do func(context.Context) error) error {
	err := r.underTheSky(ctx, class, what, do)
	if err != nil {
		r.s.w.noteMissed(r.s.name, r.h.name)
	}
	return err
}

// underTheSky calls with the fault that befalls the call.
func (r reach) underTheSky(ctx context.Context, class []Fault, what string, do func(context.Context) error) error {
	fault, size := noFault, 0.0
	if r.s.js.armed.Load() {
		fault, size = r.s.w.sky.draw(class, r.s.name, what+" on "+r.h.name)
	}
	switch {
	case r.s.js.dead.Load():
		return errDead
	case r.s.isCutFrom(r.h.name):
		return r.h.unreachable()
	}
	switch fault {
	case notConnected, lookFails:
		return r.h.unreachable()
	case lostBefore:
		return r.lost()
	case lostAfter:
		// A call that waits for the end of an attempt is cut off after a while.
		ctx, cancel := context.WithTimeout(ctx, between(time.Second, time.Minute, size))
		defer cancel()
		_ = do(ctx)
		return r.lost()
	case startLate:
		boots := r.h.booted()
		r.s.w.sky.late.Go(func() {
			nap(context.WithoutCancel(ctx), between(time.Second, 2*time.Minute, size))
			if r.h.booted() == boots { // no connection outlives a reboot
				_ = do(context.WithoutCancel(ctx))
			}
		})
		return r.lost()
	case callHangs:
		if !nap(ctx, between(10*time.Second, 4*time.Minute, size)) {
			return ctx.Err()
		}
		return r.lost()
	case callRefused:
		return errors.New("permission denied")
	case saysUnknown:
		return errUnknown
	case callSlow, lookSlow:
		if !nap(ctx, between(100*time.Millisecond, 20*time.Second, size)) {
			return ctx.Err()
		}
		if r.s.js.dead.Load() {
			return errDead
		}
	}
	return do(ctx)
}

// errUnknown makes a report say that nobody knows.
var errUnknown = errors.New("unknown")

func (r reach) lost() error {
	return fmt.Errorf("connection to %s lost: %w", r.h.name, host.ErrUnreachable)
}

// report makes one call that answers with a report.
func (r reach) report(ctx context.Context, what string, do func(context.Context) (backout.AttemptReport, error)) (backout.AttemptReport, error) {
	var report backout.AttemptReport
	err := r.call(ctx, reportFaults, what, func(ctx context.Context) (err error) {
		report, err = do(ctx)
		return err
	})
	if errors.Is(err, errUnknown) {
		return backout.AttemptReport{State: backout.AttemptUnknown, Detail: "its record is gone"}, nil
	}
	if err != nil {
		return backout.AttemptReport{}, err
	}
	return report, nil
}

// Run implements [backout.Host].
func (r reach) Run(ctx context.Context, e backout.Exec) (res backout.ExecResult, err error) {
	err = r.call(ctx, lookFaults, "run", func(ctx context.Context) (err error) {
		res, err = r.h.Run(ctx, e)
		return err
	})
	return res, err
}

// Start implements [backout.Host].
func (r reach) Start(ctx context.Context, attempt string, e backout.Exec) error {
	asked := time.Now()
	return r.call(ctx, startFaults, "start "+attempt, func(ctx context.Context) error { return r.h.start(ctx, r.s, asked, attempt, e) })
}

// Attach implements [backout.Host].
func (r reach) Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	return r.report(ctx, "attach "+attempt, func(ctx context.Context) (backout.AttemptReport, error) {
		return r.h.Attach(ctx, attempt, offset, out)
	})
}

// Probe implements [backout.Host].
func (r reach) Probe(ctx context.Context, attempt string) (backout.AttemptReport, error) {
	return r.report(ctx, "probe "+attempt, func(ctx context.Context) (backout.AttemptReport, error) {
		r.h.probedBy(r.s, attempt)
		return r.h.Probe(ctx, attempt)
	})
}

// Stop implements [backout.Host].
func (r reach) Stop(ctx context.Context, attempt string) error {
	return r.call(ctx, callFaults, "stop "+attempt, func(ctx context.Context) error { return r.h.Stop(ctx, attempt) })
}

// Forget implements [backout.Host].
func (r reach) Forget(ctx context.Context, attempt string) error {
	return r.call(ctx, callFaults, "forget "+attempt, func(ctx context.Context) error { return r.h.Forget(ctx, attempt) })
}

// BootID implements [backout.Host].
func (r reach) BootID(ctx context.Context) (id string, err error) {
	err = r.call(ctx, lookFaults, "boot id", func(ctx context.Context) (err error) {
		id, err = r.h.BootID(ctx)
		return err
	})
	return id, err
}

// way is a channel as one server reaches it.
type way struct {
	to   *Inbox
	name string
	s    *Server
}

// Notify implements [backout.Notifier].
func (v way) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	n := m.Notice
	what := fmt.Sprintf("tell %s %s %s %s %s", v.name, n.ChangeID, n.RollbackID, n.Moment, n.Level)
	fault, size := v.s.w.sky.draw(noticeFaults, v.s.name, what)
	if v.s.js.dead.Load() {
		return backout.Receipt{}, errDead
	}
	switch fault {
	case noticeRefused:
		return backout.Receipt{}, errors.New("the channel refuses")
	case noticeUnsure:
		_, _ = v.to.Notify(ctx, m)
		v.to.excuse(n.ID)
		return backout.Receipt{}, errors.New("no answer from the channel")
	case noticeSlow:
		if !nap(ctx, between(time.Second, 25*time.Second, size)) {
			return backout.Receipt{}, ctx.Err()
		}
		if v.s.js.dead.Load() {
			return backout.Receipt{}, errDead
		}
	}
	return v.to.Notify(ctx, m)
}
