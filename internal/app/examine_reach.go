package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/outbox"
)

// examineSkew is how far another clock may be from this one. What is told in whole
// seconds is a second off anyway.
const examineSkew = 10 * time.Second

// otherSides are the Prometheus, the Alertmanagers and the NATS of the config: whether
// they answer, and what time it is there.
func (a *App) otherSides(l *loaded) (parts []part) {
	http := func(name, path string, e config.Endpoint) {
		p := part{kind: "monitoring", name: name + " " + e.URL}
		p.ask = func(ctx context.Context) []handlers.Health { return askEndpoint(ctx, p, path, e) }
		parts = append(parts, p)
	}
	if l.config.Prometheus.URL != "" {
		http("prometheus", "api/v1/query?query=1", l.config.Prometheus)
	}
	for _, am := range l.config.Alertmanagers {
		http("alertmanager", "api/v2/status", am)
	}
	if l.config.NATS.URL != "" {
		p := part{kind: "clock", name: "nats"}
		p.ask = func(ctx context.Context) []handlers.Health {
			before := time.Now()
			theirs, err := a.store.Clock(ctx)
			if err != nil {
				return nil // the store says so
			}
			return []handlers.Health{p.skew(theirs, before, time.Now())}
		}
		parts = append(parts, p)
	}
	return parts
}

// askEndpoint asks an HTTP API for something small.
func askEndpoint(ctx context.Context, p part, path string, e config.Endpoint) []handlers.Health {
	do := "Look whether it runs, and at its url and token in backout.yaml."
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(e.URL, "/")+"/"+path, nil)
	if err != nil {
		return []handlers.Health{p.broken("Its address cannot be asked.", do)}
	}
	req.Header.Set("User-Agent", "backout")
	if !e.Token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+e.Token.Reveal())
	}
	client := http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects") },
	}
	before := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		var in *url.Error
		if errors.As(err, &in) {
			err = in.Err // the address is the name
		}
		return []handlers.Health{p.broken("It does not answer: "+sentence(err.Error()), do)}
	}
	after := time.Now()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	_ = resp.Body.Close()
	var found []handlers.Health
	if resp.StatusCode == http.StatusOK {
		found = append(found, p.well("It answers."))
	} else {
		found = append(found, p.broken(fmt.Sprintf("It answers with status %d.", resp.StatusCode), do))
	}
	if theirs, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		p.kind = "clock"
		found = append(found, p.skew(theirs, before, after))
	}
	return found
}

// skew compares another clock with this one, which was read before and after.
func (p part) skew(theirs, before, after time.Time) handlers.Health {
	off := time.Duration(0)
	switch {
	case theirs.Before(before):
		off = theirs.Sub(before)
	case theirs.After(after):
		off = theirs.Sub(after)
	}
	if off.Abs() <= examineSkew {
		return p.well(fmt.Sprintf("The clocks are less than %s apart.", examineSkew))
	}
	is := "behind"
	if off < 0 {
		is = "ahead of"
	}
	return p.doubtful(fmt.Sprintf("This machine's clock is %s %s it.", off.Abs().Round(time.Second), is),
		"Set the clocks (chronyc tracking): whether an alert began before or after the patch is decided by them.")
}

// examining is a channel that can ask its other side whether it would work.
type examining interface {
	Examine(ctx context.Context) backout.Problems
}

// examineChannel asks the other side of a channel whether it would work; asked is false
// where the channel knows no such question. Nothing is posted.
func examineChannel(ctx context.Context, c outbox.Channel) (problems backout.Problems, asked bool) {
	x, ok := c.Notifier.(examining)
	if !ok {
		return nil, false
	}
	return x.Examine(ctx), true
}

// channelParts are the channels of the config.
func (a *App) channelParts(l *loaded) (parts []part) {
	for _, name := range slices.Sorted(maps.Keys(l.channels)) {
		p := part{kind: "channel", name: name}
		p.ask = func(ctx context.Context) []handlers.Health { return a.askChannel(ctx, p, l.channels[name]) }
		parts = append(parts, p)
	}
	return parts
}

// givenUpFor is for how long a notice that was given up makes its channel doubtful.
const givenUpFor = 24 * time.Hour

// askChannel tells what its other side says of a channel, and what became of the last
// notices.
func (a *App) askChannel(ctx context.Context, p part, c outbox.Channel) (found []handlers.Health) {
	problems, asked := examineChannel(ctx, c)
	for _, q := range problems {
		if q.Warning {
			found = append(found, p.doubtful(sentence(q.What), sentence(q.Fix)))
		} else {
			found = append(found, p.broken(sentence(q.What), sentence(q.Fix)))
		}
	}
	known, err := a.outbox.Standing(ctx, time.Now().Add(-givenUpFor))
	s, there := known[p.name]
	switch {
	case err != nil:
		return append(found, p.doubtful("What waits for it is not known: "+err.Error()+".", "Ask again."))
	case !there:
		return found // a reload has just taken it away
	}
	const do = "Look at its other side and at its settings; backout notify test tries it."
	if s.GivenUp > 0 {
		found = append(found, p.doubtful(fmt.Sprintf("%d notices were given up within a day, the last one %s: %s", s.GivenUp, since(s.GaveUpAt), sentence(s.GaveUpFor)),
			"Whoever they were for has not been told. "+do))
	}
	switch {
	case s.Failing():
		found = append(found, p.broken(fmt.Sprintf("The last delivery failed, %s: %s %s", since(s.LastErrorAt), sentence(s.LastError), waits(s.Waiting)), triedAgain(s.Waiting)+do))
	case s.Why != "":
		found = append(found, p.doubtful(sentence(s.Why)+" "+waits(s.Waiting), do))
	case s.Missed != "":
		found = append(found, p.doubtful(fmt.Sprintf("The last notice arrived, %s, but not everybody has it: %s %s", since(s.LastSuccess), sentence(s.Missed), waits(s.Waiting)),
			"Take those addresses out of its settings, or mend them: their people are told nothing. backout notify test tries it."))
	case len(found) > 0:
	case asked:
		found = append(found, p.well("Its other side says that it would work. "+waits(s.Waiting)))
	case s.LastSuccess.IsZero():
		found = append(found, p.well("No delivery by it is known yet. "+waits(s.Waiting)))
	default:
		found = append(found, p.well("The last notice arrived, "+since(s.LastSuccess)+". "+waits(s.Waiting)))
	}
	return found
}

// triedAgain tells when a channel that fails is tried again.
func triedAgain(waiting int) string {
	if waiting == 0 {
		return "It is tried again with the next notice, or for a question that is still open. "
	}
	return "It is tried again. "
}

func waits(n int) string {
	if n == 0 {
		return "No notice waits."
	}
	return fmt.Sprintf("%d notices wait.", n)
}
