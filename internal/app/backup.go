package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// Backup implements [handlers.Control].
func (c control) Backup(ctx context.Context, by handlers.Actor, w io.Writer) error {
	checked, err := c.app.store.Backup(ctx, w, c.app.o.Version)
	if err != nil {
		return err
	}
	c.app.o.Log.Info("backup made", "by", by.Name, "sha256", checked.Sum)
	return nil
}

// Backup writes a backup of the store that the config names to w. It is for a
// store that no server of this machine holds: of an embedded one that runs it
// returns [bus.ErrInUse], and nothing is written.
func Backup(ctx context.Context, o Options, w io.Writer) (store.Checked, error) {
	cfg, err := storeConfig(&o)
	if err != nil {
		return store.Checked{}, err
	}
	var checked store.Checked
	err = withStore(ctx, o, cfg, false, func(so store.Options) error {
		s, err := store.Open(ctx, so)
		if err != nil {
			return err
		}
		checked, err = s.Backup(ctx, w, o.Version)
		return errors.Join(err, s.Close())
	})
	return checked, err
}

// Restore fills the store that the config names, which must be empty, from the
// file of a backup. It leaves the pause switch on and every rollback paused that
// was active, so that nothing is done before somebody has looked.
func Restore(ctx context.Context, o Options, file string) (store.Checked, error) {
	cfg, err := storeConfig(&o)
	if err != nil {
		return store.Checked{}, err
	}
	f, err := os.Open(file)
	if err != nil {
		return store.Checked{}, fmt.Errorf("open backup: %w", err)
	}
	defer func() { _ = f.Close() }()
	checked, err := store.CheckBackup(f)
	if err != nil {
		return store.Checked{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return store.Checked{}, fmt.Errorf("read backup: %w", err)
	}
	var restored *store.Restored
	err = withStore(ctx, o, cfg, true, func(so store.Options) (err error) {
		restored, err = store.Restore(ctx, so, checked, f)
		return err
	})
	if err != nil {
		return store.Checked{}, err
	}
	// Opened anew, everything is read from the disk.
	return checked, withStore(ctx, o, cfg, false, func(so store.Options) error {
		s, err := restored.Open(ctx, so)
		if err != nil {
			return err
		}
		err = settle(ctx, s, restored, cfg, checked)
		return errors.Join(err, s.Close())
	})
}

// storeConfig reads the config as a server does.
func storeConfig(o *Options) (*config.Config, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l, problems := load(o.Config)
	if err := problems.Fatal(); err != nil {
		return nil, err
	}
	return l.config, nil
}

// withStore gives do the way to the store, and closes the bus behind it.
func withStore(ctx context.Context, o Options, cfg *config.Config, bulk bool, do func(store.Options) error) error {
	b, err := bus.Open(ctx, busOptions(cfg, o.Log, bulk))
	if err != nil {
		return err
	}
	return errors.Join(do(storeOptions(cfg, b, o.Log)), b.Close())
}

func busOptions(cfg *config.Config, log *slog.Logger, bulk bool) bus.Options {
	o := bus.Options{Name: cfg.ServerName, Logger: log}
	if cfg.NATS.URL != "" {
		o.URL, o.Credentials, o.CAFile = cfg.NATS.URL, cfg.NATS.Credentials, cfg.NATS.TLSCA
	} else {
		o.DataDir, o.Bulk = cfg.DataDir, bulk
	}
	return o
}

func storeOptions(cfg *config.Config, b *bus.Bus, log *slog.Logger) store.Options {
	o := store.Options{
		JS: b.JetStream(), Server: cfg.ServerName, Replicas: cfg.NATS.Replicas, AlertsMaxBytes: int64(cfg.Retention.AlertsMaxBytes),
		AlertsMaxAge: time.Duration(cfg.Retention.Alerts), Logger: log, Marks: store.ControlMarks{JS: b.JetStream()},
	}
	if marks, embedded := b.Marks(); embedded {
		o.Marks = marks
	}
	return o
}

// settle makes the restored store ready for a server of this config, paused.
func settle(ctx context.Context, s *store.Store, r *store.Restored, cfg *config.Config, checked store.Checked) error {
	if err := keepRelay(ctx, s.Control, cfg, checked.Header.Server); err != nil {
		return err
	}
	pause := store.PauseState{
		On: true, By: "backout restore", At: time.Now().UTC(),
		Reason: fmt.Sprintf("restored from the backup of %s: look at open changes and rollbacks, then backout resume", checked.Header.At.Format(time.RFC3339)),
	}
	if err := pauseRollbacks(ctx, s.Rollbacks, cfg.ServerName, pause); err != nil {
		return err
	}
	return r.Finish(ctx, s, pause)
}

// keepRelay keeps how far notices were handed over when the server's name for it
// is another one now: a sole server and one of several have different ones.
func keepRelay(ctx context.Context, control *store.Control, cfg *config.Config, before string) error {
	const sole = "relay"
	now := sole
	if cfg.NATS.URL != "" {
		now = sole + "." + cfg.ServerName
	}
	for _, key := range []string{now, sole, sole + "." + before} {
		doc, err := control.Get(ctx, key)
		if errors.Is(err, backout.ErrNotFound) {
			continue
		}
		if err == nil && key != now {
			_, err = control.Create(ctx, now, doc.Value)
		}
		return err
	}
	return nil
}

// pauseRollbacks pauses what is active, as the pause switch does; turning it off
// lets them go on.
func pauseRollbacks(ctx context.Context, log *store.Log, server string, pause store.PauseState) error {
	states := map[string]backout.Rollback{}
	following, stop := context.WithCancel(ctx)
	defer stop()
	err := log.Follow(following, 0, func(e store.Entry) error {
		states[e.ID] = rollback.Fold(states[e.ID], e.Seq, e.Record)
		return nil
	}, stop)
	if ctx.Err() != nil || !errors.Is(err, context.Canceled) {
		return fmt.Errorf("pause rollbacks: %w", err)
	}
	for id, r := range states {
		if r.Status.Final() || !r.PausedAt.IsZero() {
			continue
		}
		events, err := rollback.Decide(r, pause.At, rollback.Pause{By: "pause switch, " + pause.By, Reason: pause.Reason})
		if err == nil {
			_, err = log.Append(ctx, id, r.Revision, backout.Record{Op: fmt.Sprintf("restore.%s.%d", id, pause.At.UnixNano()), By: server, At: pause.At, Events: events})
		}
		if err != nil {
			return fmt.Errorf("pause rollback %s: %w", id, err)
		}
	}
	return nil
}
