package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/backout-io/backout"
)

// Serve runs a server until ctx ends, and reads its files again whenever reload
// says so. A reload that fails leaves the old config running.
func Serve(ctx context.Context, o Options, reload <-chan os.Signal) error {
	a, err := New(ctx, o)
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return errors.Join(err, a.Close())
	}
	for {
		select {
		case <-ctx.Done():
			o.Log.Info("stopping")
			return a.Close()
		case err := <-a.Failed():
			return errors.Join(fmt.Errorf("serve: %w", err), a.Close())
		case <-reload:
			if err := a.Reload(ctx); err != nil {
				logProblems(o.Log, err)
			}
		}
	}
}

func logProblems(log *slog.Logger, err error) {
	var problems backout.Problems
	if !errors.As(err, &problems) {
		log.Error("config not reloaded, the old one stays", "error", err)
		return
	}
	for _, p := range problems {
		log.Error("config not reloaded, the old one stays", "problem", p.String())
	}
}
