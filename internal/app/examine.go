package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/notifier"
)

const (
	// examineFor bounds an examination. What asks is told to end a little before.
	examineFor   = 15 * time.Second
	examineGrace = time.Second
	// examineFresh is how long its answer is given again.
	examineFresh = 10 * time.Second
)

// examiner examines what the server leans on, once for all who ask at the same time.
type examiner struct {
	app *App
	// ctx ends with the server; asking counts what is under way.
	ctx    context.Context //nolint:containedctx // the life of the examinations
	asking sync.WaitGroup

	mu sync.Mutex
	// running is closed when the examination under way has ended; nil when there is none.
	running chan struct{}
	at      time.Time
	found   []handlers.Health
}

// newExaminer makes one that ends with the server.
func (a *App) newExaminer() *examiner {
	ctx, stop := context.WithCancel(context.Background())
	x := &examiner{app: a, ctx: ctx}
	a.later(func() error {
		x.mu.Lock()
		stop() // none begins any more
		x.mu.Unlock()
		x.asking.Wait()
		return nil
	})
	return x
}

// Examine implements [handlers.Insight]. Who asks within ten seconds of an examination
// gets what it found. Secrets are taken out of what others say.
func (i insight) Examine(ctx context.Context, _ handlers.Actor) ([]handlers.Health, error) {
	return i.app.examiner.examine(ctx)
}

func (x *examiner) examine(ctx context.Context) ([]handlers.Health, error) {
	x.mu.Lock()
	if !x.at.IsZero() && time.Since(x.at).Abs() < examineFresh {
		defer x.mu.Unlock()
		return x.found, nil
	}
	if x.ctx.Err() != nil {
		defer x.mu.Unlock()
		return nil, fmt.Errorf("server stops: %w", backout.ErrUnavailable)
	}
	if x.running == nil {
		x.running = make(chan struct{})
		x.asking.Go(x.run)
	}
	running := x.running
	x.mu.Unlock()
	select {
	case <-running:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.found, nil
}

func (x *examiner) run() {
	found := x.all(x.app.parts())
	x.app.conceal(found)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.found, x.at = found, time.Now()
	close(x.running)
	x.running = nil
}

// part is one thing that is asked by itself.
type part struct {
	kind, name string
	ask        func(ctx context.Context) []handlers.Health
}

// all asks the parts at once, and returns what they found in their order. One that does
// not answer in time is doubtful, and asked to its end.
func (x *examiner) all(parts []part) (found []handlers.Health) {
	ctx, cancel := context.WithTimeout(x.ctx, examineFor-examineGrace)
	late := time.NewTimer(examineFor)
	defer late.Stop()
	answers := make([]chan []handlers.Health, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		answers[i] = make(chan []handlers.Health, 1)
		all.Add(1)
		x.asking.Go(func() {
			defer all.Done()
			answers[i] <- p.guarded(ctx)
		})
	}
	x.asking.Go(func() {
		all.Wait()
		cancel()
	})
	gone := false
	for i, p := range parts {
		if !gone {
			select {
			case list := <-answers[i]:
				found = append(found, list...)
				continue
			case <-late.C:
				gone = true
			}
		}
		select {
		case list := <-answers[i]:
			found = append(found, list...)
		default:
			found = append(found, p.doubtful(fmt.Sprintf("It has not answered within %s.", examineFor), "Ask again; the server's log may say more."))
		}
	}
	return found
}

// guarded keeps a broken plug-in from taking the server with it. What it panics with may
// hold secrets.
func (p part) guarded(ctx context.Context) (found []handlers.Health) {
	defer func() {
		if recover() != nil {
			found = []handlers.Health{p.broken("Its examination panicked.", "Please report it as a bug.")}
		}
	}()
	return p.ask(ctx)
}

func (p part) well(says string) handlers.Health {
	return handlers.Health{Kind: p.kind, Name: p.name, State: handlers.HealthWell, Says: says}
}

func (p part) doubtful(says, do string) handlers.Health {
	return handlers.Health{Kind: p.kind, Name: p.name, State: handlers.HealthDoubtful, Says: says, Do: do}
}

func (p part) broken(says, do string) handlers.Health {
	return handlers.Health{Kind: p.kind, Name: p.name, State: handlers.HealthBroken, Says: says, Do: do}
}

// examineWords bounds one text of an examination, in bytes.
const examineWords = 2000

// conceal takes secrets out of what was found, and bounds it.
func (a *App) conceal(found []handlers.Health) {
	secrets := a.running.Load().secrets()
	for i := range found {
		h := &found[i]
		for _, text := range []*string{&h.Name, &h.Says, &h.Do} {
			*text = notifier.Redact(*text, secrets...)
			if len(*text) > examineWords {
				*text = string([]rune(*text)[:examineWords/4]) + "…"
			}
		}
	}
}
