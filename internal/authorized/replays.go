package authorized

import (
	"context"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/replay"
)

// Replays tells what rules would have done in the past. It changes nothing.
type Replays interface {
	// ReplayRules runs the server's rules, or those of a file, over what the server
	// remembers. A mistake in the file is returned as [backout.Problems], times that
	// cannot be replayed wrap [backout.ErrInvalid]; [backout.ErrUnavailable] means that
	// another replay runs, or that this one took too long.
	ReplayRules(ctx context.Context, by handlers.Actor, r handlers.ReplayRequest) (ReplayAnswer, error)
}

// ReplayAnswer is what rules would have done.
type ReplayAnswer struct {
	replay.Report
	// Notes say what the answer does not know.
	Notes []string
}

type replays struct {
	*guard
	inner Replays
}

// ReplayRules implements [Replays]. It reads every alert that came in.
func (s *replays) ReplayRules(ctx context.Context, by handlers.Actor, r handlers.ReplayRequest) (ReplayAnswer, error) {
	if err := s.everywhere(ctx, want{by: by, action: access.ActionRead, call: "ReplayRules", on: r.Rule}); err != nil {
		return ReplayAnswer{}, err
	}
	return s.inner.ReplayRules(ctx, by, r)
}
