package simtest

import (
	"context"
	"io"

	"github.com/backout-io/backout"
)

// Cut takes a target out of this server's reach, or back in. Others may reach it.
func (s *Server) Cut(target string, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut[target] = cut
}

// For implements the runner's Hosts.
func (s *Server) For(t backout.Target) (backout.Host, error) {
	if h := s.w.hosts[t.Name]; h != nil {
		return link{h, s}, nil
	}
	return nil, backout.ErrNotFound
}

// link is a target as one server reaches it.
type link struct {
	h *Host
	s *Server
}

var _ backout.Host = link{}

func (l link) broken() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.cut[l.h.name] {
		return l.h.unreachable()
	}
	return nil
}

// Run implements [backout.Host].
func (l link) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	if err := l.broken(); err != nil {
		return backout.ExecResult{}, err
	}
	return l.h.Run(ctx, e)
}

// Start implements [backout.Host].
func (l link) Start(ctx context.Context, attempt string, e backout.Exec) error {
	if err := l.broken(); err != nil {
		return err
	}
	return l.h.Start(ctx, attempt, e)
}

// Attach implements [backout.Host].
func (l link) Attach(ctx context.Context, attempt string, offset int64, out io.Writer) (backout.AttemptReport, error) {
	if err := l.broken(); err != nil {
		return backout.AttemptReport{}, err
	}
	return l.h.Attach(ctx, attempt, offset, out)
}

// Probe implements [backout.Host].
func (l link) Probe(ctx context.Context, attempt string) (backout.AttemptReport, error) {
	if err := l.broken(); err != nil {
		return backout.AttemptReport{}, err
	}
	return l.h.Probe(ctx, attempt)
}

// Stop implements [backout.Host].
func (l link) Stop(ctx context.Context, attempt string) error {
	if err := l.broken(); err != nil {
		return err
	}
	return l.h.Stop(ctx, attempt)
}

// Forget implements [backout.Host].
func (l link) Forget(ctx context.Context, attempt string) error {
	if err := l.broken(); err != nil {
		return err
	}
	return l.h.Forget(ctx, attempt)
}

// BootID implements [backout.Host].
func (l link) BootID(ctx context.Context) (string, error) {
	if err := l.broken(); err != nil {
		return "", err
	}
	return l.h.BootID(ctx)
}

// Keeps counts the attempts that the target still knows of.
func (h *Host) Keeps() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.attempts)
}
