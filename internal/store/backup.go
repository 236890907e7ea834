package store

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/backup"
)

// cutTries bounds how often a moment is looked for at which the logs stand still.
const cutTries = 1000

// Backup writes everything that is kept to w, while the store is in use. What it
// reads is checked, and damage is an error: then, as after any other error, w
// holds no backup. What is written is the store as it stood at one moment as far
// as anything depends on it; DESIGN.md says why. release is the version of this
// program.
func (s *Store) Backup(ctx context.Context, w io.Writer, release string) (Checked, error) {
	fail := func(err error) (Checked, error) { return Checked{}, fmt.Errorf("back up store: %w", err) }
	out, err := backup.NewWriter(w, backup.Header{Release: release, Server: s.Alerts.committer.server, At: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return fail(err)
	}
	b := &backupRun{s: s, out: out, inspect: newInspector()}
	if err := b.run(ctx); err != nil {
		return fail(err)
	}
	contents, err := out.Close()
	if err != nil {
		return fail(err)
	}
	return Checked{contents, b.inspect.largest}, nil
}

type backupRun struct {
	s       *Store
	out     *backup.Writer
	inspect *inspector
}

// run copies the streams. The order is the argument that the copy is consistent.
func (b *backupRun) run(ctx context.Context) error {
	if err := b.copyAll(ctx, controlStream, noticesStream, receiptsStream); err != nil {
		return err
	}
	changes, rollbacks, err := cut(
		func() (uint64, error) { return b.s.Changes.Last(ctx) }, func() (uint64, error) { return b.s.Rollbacks.Last(ctx) })
	if err != nil {
		return err
	}
	if err := b.copy(ctx, rollbacksStream, rollbacks); err != nil {
		return err
	}
	if err := b.copy(ctx, changesStream, changes); err != nil {
		return err
	}
	return b.copyAll(ctx, artifactsStream, alertsStream)
}

func (b *backupRun) copyAll(ctx context.Context, names ...string) error {
	for _, name := range names {
		if err := b.copy(ctx, name, math.MaxUint64); err != nil {
			return err
		}
	}
	return nil
}

// cut returns the last sequences of both logs at one moment: the log of changes
// ended at the same record before and after the other one was looked at.
func cut(changes, rollbacks func() (uint64, error)) (c, r uint64, _ error) {
	before, err := changes()
	for range cutTries {
		if err == nil {
			r, err = rollbacks()
		}
		if err == nil {
			c, err = changes()
		}
		if err != nil {
			return 0, 0, err
		}
		if c == before {
			return c, r, nil
		}
		before = c
	}
	return 0, 0, fmt.Errorf("%w: the logs never stood still long enough to be copied", backout.ErrUnavailable)
}

// Last returns the sequence of the last record of the whole log, 0 when there is
// none.
func (l *Log) Last(ctx context.Context) (uint64, error) {
	info, err := l.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at %s: %w", l.name, unavailable(err))
	}
	return info.State.LastSeq, nil
}

// copy writes the messages of a stream up to a sequence, or all.
func (b *backupRun) copy(ctx context.Context, name string, until uint64) error {
	if err := b.out.Begin(name); err != nil {
		return err
	}
	return b.s.read(ctx, name, until, func(m backup.Message) error {
		if err := b.inspect.take(name, m); err != nil {
			return fmt.Errorf("%w, %w: %s", errDamaged, err, advice)
		}
		return b.out.Add(m)
	})
}
