package authorized

import (
	"context"
	"io"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

type control struct {
	*guard
	inner handlers.Control
}

// Pause implements [handlers.Control]. It stops everything, so it takes a grant that
// holds everywhere.
func (s *control) Pause(ctx context.Context, by handlers.Actor, reason string) (handlers.PauseState, error) {
	if err := s.everywhere(ctx, want{by: by, action: access.ActionStop, call: "Pause"}); err != nil {
		return handlers.PauseState{}, err
	}
	return s.inner.Pause(ctx, by, reason)
}

// Resume implements [handlers.Control].
func (s *control) Resume(ctx context.Context, by handlers.Actor, reason string) (handlers.PauseState, error) {
	if err := s.everywhere(ctx, want{by: by, action: access.ActionGoOn, call: "Resume"}); err != nil {
		return handlers.PauseState{}, err
	}
	return s.inner.Resume(ctx, by, reason)
}

// PauseState implements [handlers.Control]. Whoever may read anything must know why
// nothing moves.
func (s *control) PauseState(ctx context.Context) (handlers.PauseState, error) {
	if err := s.somewhere(ctx, reading(ctx, "PauseState", "")); err != nil {
		return handlers.PauseState{}, err
	}
	return s.inner.PauseState(ctx)
}

// Reload implements [handlers.Control].
func (s *control) Reload(ctx context.Context) error {
	if err := s.everywhere(ctx, administering(handlers.ActorFrom(ctx), "Reload", "")); err != nil {
		return err
	}
	return s.inner.Reload(ctx)
}

func administering(by handlers.Actor, call, on string) want {
	return want{by: by, action: access.ActionAdmin, call: call, on: on}
}

// Backup implements [handlers.Control].
func (s *control) Backup(ctx context.Context, by handlers.Actor, w io.Writer) error {
	if err := s.everywhere(ctx, administering(by, "Backup", "")); err != nil {
		return err
	}
	return s.inner.Backup(ctx, by, w)
}

// Ready implements [handlers.Control]. Anybody may ask whether alerts may come.
func (s *control) Ready() error { return s.inner.Ready() }

// Targets implements [handlers.Control].
func (s *control) Targets(ctx context.Context) ([]backout.Target, error) {
	if err := s.somewhere(ctx, reading(ctx, "Targets", "")); err != nil {
		return nil, err
	}
	list, err := s.inner.Targets(ctx)
	return slices.DeleteFunc(list, func(t backout.Target) bool { return !s.sees(ctx, []string{t.Name}) }), err
}

// NotifyTest implements [handlers.Control].
func (s *control) NotifyTest(ctx context.Context, by handlers.Actor, n handlers.TestNotice) (handlers.TestWords, error) {
	if err := s.everywhere(ctx, administering(by, "NotifyTest", n.Channel)); err != nil {
		return handlers.TestWords{}, err
	}
	return s.inner.NotifyTest(ctx, by, n)
}

// Notices implements [handlers.Control].
func (s *control) Notices(ctx context.Context) ([]handlers.NoticeStatus, error) {
	if err := s.somewhere(ctx, reading(ctx, "Notices", "")); err != nil {
		return nil, err
	}
	list, err := s.inner.Notices(ctx)
	return slices.DeleteFunc(list, func(n handlers.NoticeStatus) bool { return !s.seesNotice(ctx, n.Notice) }), err
}

// seesNotice goes by the notice's targets, else by its change's. One of neither is
// about the server, as its pause is.
func (s *control) seesNotice(ctx context.Context, n backout.Notice) bool {
	targets := n.Targets
	if len(targets) == 0 && n.ChangeID != "" {
		c, err := s.changes.Change(ctx, n.ChangeID)
		if err != nil {
			return s.sees(ctx, nil)
		}
		targets = c.Targets
	}
	return len(targets) == 0 && n.ChangeID == "" || s.sees(ctx, targets)
}

// Monitoring implements [handlers.Control].
func (s *control) Monitoring(ctx context.Context) (handlers.MonitoringStatus, error) {
	if err := s.somewhere(ctx, reading(ctx, "Monitoring", "")); err != nil {
		return handlers.MonitoringStatus{}, err
	}
	return s.inner.Monitoring(ctx)
}

// Runners implements [handlers.Control].
func (s *control) Runners(ctx context.Context) ([]handlers.RunnerStatus, error) {
	if err := s.somewhere(ctx, reading(ctx, "Runners", "")); err != nil {
		return nil, err
	}
	return s.inner.Runners(ctx)
}
