package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/promql"
	"github.com/backout-io/backout/internal/recorded"
	"github.com/backout-io/backout/internal/replay"
)

// pastOf is where a replay reads the past, and where it ends; zero with the last
// alert.
type pastOf struct {
	open  recorded.Opener
	until time.Time
}

// past finds the past that the flags name.
func (p *program) past(ctx context.Context, f replayFlags) (*pastOf, error) {
	now := time.Now().UTC()
	since, err := ago(f.since, now)
	if err != nil {
		return nil, usagef("--since %v", err)
	}
	until, err := ago(f.until, now)
	if err != nil {
		return nil, usagef("--until %v", err)
	}
	if !since.Before(until) {
		return nil, usagef("--since must be before --until")
	}
	if f.file == "" && f.prometheus == "" {
		return p.serversPast(f, since, until)
	}
	if f.file != "" {
		since = time.Unix(0, 0) // whatever the file is about
	}
	what, err := p.pastChanges(ctx, f, since, until)
	if err != nil {
		return nil, err
	}
	if f.file != "" {
		return p.filePast(f, what)
	}
	return prometheusPast(f, since, until, what)
}

func (p *program) serversPast(f replayFlags, since, until time.Time) (*pastOf, error) {
	if f.changes != "" {
		return nil, usagef("--changes goes with --file or --prometheus: the server knows its own")
	}
	c, err := p.client()
	if err != nil {
		return nil, err
	}
	return &pastOf{recorded.Server(c, since, until), until}, nil
}

// pastChanges reads the changes from the file, or asks the server.
func (p *program) pastChanges(ctx context.Context, f replayFlags, since, until time.Time) (replay.Past, error) {
	if f.changes != "" {
		changes, err := p.readChanges(f.changes)
		return replay.Past{Changes: sortedChanges(changes)}, err
	}
	c, err := p.client()
	if err != nil {
		return replay.Past{}, err
	}
	return recorded.Changes(ctx, c, since, until)
}

func (p *program) filePast(f replayFlags, what replay.Past) (*pastOf, error) {
	open := func() (io.ReadCloser, error) {
		file, err := os.Open(f.file)
		if err != nil {
			return nil, fmt.Errorf("read payloads: %w", err)
		}
		return file, nil
	}
	if f.file == "-" {
		data, err := p.readWhole("-")
		if err != nil {
			return nil, err
		}
		open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	}
	return &pastOf{open: recorded.File(f.file, open, what)}, nil
}

func prometheusPast(f replayFlags, since, until time.Time, what replay.Past) (*pastOf, error) {
	step, err := backout.ParseDuration(f.step)
	if err != nil || time.Duration(step) < time.Second {
		return nil, usagef("--step %s: want a length of time of at least 1s, such as 15s", f.step)
	}
	token := backout.Secret{}
	if f.promToken != "" {
		data, err := os.ReadFile(f.promToken)
		if err != nil {
			return nil, fmt.Errorf("read token file: %w", err)
		}
		token = backout.SecretValue(string(bytes.TrimSpace(data)))
	}
	client, err := promql.NewClient(f.prometheus, token)
	if err != nil {
		return nil, usagef("--prometheus %s: want http://HOST:PORT", f.prometheus)
	}
	return &pastOf{recorded.Prometheus(client, since, until, time.Duration(step), what), until}, nil
}
