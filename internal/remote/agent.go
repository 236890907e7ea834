package remote

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/runner"
)

// Conn is what both sides need of NATS; [bus.Wire] is one.
type Conn interface {
	MaxPayload() int
	Publish(m bus.Message) error
	Request(ctx context.Context, m bus.Message) (bus.Message, error)
	Gather(ctx context.Context, m bus.Message, take func(bus.Message) bool) error
	Subscribe(subject, queue string, handle func(bus.Message)) (stop func(), err error)
}

const (
	// helloEvery is how often a runner says that it is there.
	helloEvery = 2 * time.Second
	// defaultSlots is how many attempts a runner carries out at once when
	// [AgentOptions.Slots] is 0.
	defaultSlots = 32
)

// AgentOptions are what an [Agent] needs.
type AgentOptions struct {
	Conn Conn
	// Name and Site say which runner this is.
	Name, Site string
	// Keys are those of the servers it works for; several while one is replaced.
	Keys []PublicKey
	// Runner makes the runner that carries out the attempts of a store, by the
	// store's mark. It is called once for each.
	Runner func(mark string) *runner.Runner
	// Executors and Checks are the only kinds of steps that are carried out, and of
	// checks that are run; nil means all that are known. Where Executors leaves
	// command out, so does a nil Checks: such a check is a command line too.
	Executors []string
	Checks    []string
	// Known tells whether there is an executor of that kind.
	Known func(uses string) bool
	// Slots is how many attempts are carried out at once; 0 means 32.
	Slots int
	// Release is this program's version, for people.
	Release string
	Log     *slog.Logger
}

// Agent is a runner: it takes the attempts that servers offer to its site, and
// carries them out.
type Agent struct {
	o       AgentOptions
	address string

	mu       sync.Mutex
	carried  map[string]*carried
	runners  map[string]*runner.Runner
	stopping bool
	refused  map[string]time.Time // reasons that have been logged lately

	looks chan struct{}
	// errands are those that run, or ran until lately, by their calls.
	errands map[string]*errandRun
	tending chan struct{}   // a place for each errand that runs
	work    sync.WaitGroup  // attempts and errands
	talk    sync.WaitGroup  // answers being given
	ctx     context.Context //nolint:containedctx // that of all attempts, ended by Close
	end     context.CancelCauseFunc
	stops   []func()
	done    chan struct{} // closed when greeting has ended
}

// errLeaving is why a runner that stops lets go of its attempts.
var errLeaving = errors.New("the runner stops; what runs on targets goes on")

// Start listens for work until [Agent.Close].
func Start(o AgentOptions) (*Agent, error) {
	if err := errors.Join(checkName("runner", o.Name), checkName("site", o.Site)); err != nil {
		return nil, fmt.Errorf("start runner: %w", err)
	}
	if o.Slots <= 0 {
		o.Slots = defaultSlots
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		o: o, address: o.Name + "." + strings.ToLower(rand.Text()[:10]), carried: map[string]*carried{}, runners: map[string]*runner.Runner{},
		refused: map[string]time.Time{}, looks: make(chan struct{}, looksMost),
		errands: map[string]*errandRun{}, tending: make(chan struct{}, errandsMost), done: make(chan struct{}),
	}
	a.ctx, a.end = context.WithCancelCause(context.Background())
	for _, subject := range []string{offers(o.Site), directed(o.Site, a.address)} {
		stop, err := o.Conn.Subscribe(subject, "", a.hear)
		if err != nil {
			a.end(err)
			a.unsubscribe()
			return nil, fmt.Errorf("start runner: %w", err)
		}
		a.stops = append(a.stops, stop)
	}
	go a.greet()
	return a, nil
}

// Address is where this runner is spoken to in this life.
func (a *Agent) Address() string { return a.address }

// Close ends the agent: no more work, and what it carries is let go of, so that
// another runner of the site takes it up. What runs on targets goes on.
func (a *Agent) Close() {
	a.mu.Lock()
	if a.stopping {
		a.mu.Unlock()
		return
	}
	a.stopping = true
	a.mu.Unlock()
	a.end(errLeaving)
	a.work.Wait()
	a.talk.Wait()
	<-a.done
	a.unsubscribe()
	a.sayHello(true)
}

func (a *Agent) unsubscribe() {
	for _, stop := range a.stops {
		stop()
	}
}

// hear takes one message. What is refused is answered at once; what is obeyed from
// a goroutine of its own, since a look may take long and a watch waits for news.
func (a *Agent) hear(m bus.Message) {
	if m.Reply == "" {
		return
	}
	o, err := verify(m, a.o.Keys, a.o.Site, a.address, time.Now())
	if err != nil {
		a.answer(m, a.refusal(o, err))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopping {
		a.answer(m, reply{Refused: errLeaving.Error()})
		return
	}
	a.talk.Go(func() { a.answer(m, a.obey(o, m.Subject)) })
}

func (a *Agent) answer(to bus.Message, r reply) {
	r.Version, r.Runner, r.Address = version, a.o.Name, a.address
	data, err := json.Marshal(r)
	if err == nil {
		err = a.o.Conn.Publish(bus.Message{Subject: to.Reply, Data: data})
	}
	if err != nil {
		// The server asks again.
		a.o.Log.Debug("answer not sent", "error", err)
	}
}

// obey does what the order wants, if it may.
func (a *Agent) obey(o order, subject string) reply {
	r, err := a.carryOut(o, subject)
	if err != nil {
		return a.refusal(o, err)
	}
	return r
}

func (a *Agent) refusal(o order, err error) reply {
	moved := errors.Is(err, errAnotherHolder)
	if !moved && !errors.Is(err, errUnknown) {
		a.logRefusal(o, err)
	}
	return reply{Refused: err.Error(), Moved: moved}
}

// logRefusal logs a reason once a minute.
func (a *Agent) logRefusal(o order, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, reason := time.Now(), err.Error()
	for r, at := range a.refused {
		if now.Sub(at) > time.Minute {
			delete(a.refused, r)
		}
	}
	if _, said := a.refused[reason]; said || len(a.refused) > 100 {
		return
	}
	a.refused[reason] = now
	a.o.Log.Warn("message refused", "op", string(o.Op), "reason", reason)
}

// carryOut does one order. All but offers are to one runner, and come over its own
// subject, which no other one may listen to.
func (a *Agent) carryOut(o order, subject string) (reply, error) {
	personal := subject == directed(a.o.Site, a.address) && o.To == a.address
	switch {
	case o.Op == opOffer && o.Work != nil:
		return a.offered(o.Work)
	case o.Op == opTake && o.Work != nil && personal:
		return reply{}, a.take(o.Work, o.Issued)
	case o.Op == opWatch && o.Watch != nil && personal:
		return a.watched(o.Watch)
	case o.Op == opRelease && o.Release != nil && personal:
		if c := a.find(o.Release.Attempt); c != nil {
			c.release(o.Release)
		}
		return reply{}, nil
	case o.Op == opPreflight && o.Preflight != nil && personal:
		return a.preflight(o.Preflight)
	case o.Op == opCheck && o.Check != nil && personal:
		return a.check(o.Check)
	case o.Op == opForget && o.Forget != nil && personal:
		return a.forget(o.Forget)
	case o.Op == opCapture && o.Errand != nil && o.Errand.Task == nil && personal:
		return a.errand(o.Errand)
	case o.Op == opTend && o.Errand != nil && o.Errand.Task != nil && personal:
		return a.errand(o.Errand)
	}
	return reply{}, fmt.Errorf("%q over this subject %s", clip(string(o.Op), 20), notAnOrder)
}

// notAnOrder ends the refusal of what a runner of this release does not know.
const notAnOrder = "is not an order"

// executor tells why steps of this kind are not carried out here.
func (a *Agent) executor(uses string) error {
	switch {
	case !a.o.Known(uses):
		return fmt.Errorf("executor %q is not known to this runner's release (%s)", clip(uses, 40), a.o.Release)
	case a.o.Executors != nil && !slices.Contains(a.o.Executors, uses):
		return fmt.Errorf("executor %q is not among those that this runner's config allows: %s", clip(uses, 40), listed(a.o.Executors))
	}
	return nil
}

func listed(kinds []string) string {
	if len(kinds) == 0 {
		return "none"
	}
	return strings.Join(kinds, ", ")
}

func (a *Agent) may(w *work) error {
	if err := w.bound(a.o.Site); err != nil {
		return err
	}
	return a.executor(w.Task.Step.Uses)
}

func (a *Agent) offered(w *work) (reply, error) {
	if err := a.may(w); err != nil {
		return reply{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, free := a.carried[w.Task.AttemptID], a.free()
	if c == nil && free <= 0 && !w.Resume {
		return reply{}, fmt.Errorf("it carries out %d attempts already, and its max_steps is %d", a.o.Slots-free, a.o.Slots)
	}
	return reply{Carries: c != nil && !c.gone(), Free: free}, nil
}

// free is how many more attempts it takes. The caller holds mu.
func (a *Agent) free() int {
	n := a.o.Slots
	for _, c := range a.carried {
		if c.running() {
			n--
		}
	}
	return n
}

// take carries the attempt out, unless it does so already. One that was claimed
// before is taken even when there is no slot: it may run on the target.
func (a *Agent) take(w *work, issued time.Time) error {
	if err := a.may(w); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopping {
		return errLeaving
	}
	id := w.Task.AttemptID
	if c := a.carried[id]; c != nil && !c.gone() {
		return c.join(w, issued)
	}
	if !w.Resume && a.free() <= 0 {
		return fmt.Errorf("it has no slot left of %d", a.o.Slots)
	}
	c := newCarried(w, issued, a.runnerOf(w.Mark))
	a.carried[id] = c
	a.work.Go(func() { c.finish(a.carry(c, w)) })
	return nil
}

func (c *carried) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.void()
}

func (a *Agent) carry(c *carried, w *work) runner.Result {
	job := runner.Job{
		Task: w.Task, Frozen: w.Frozen, Gate: w.Gate.passed(w.Task.Target.Name), Boot: w.Boot, Live: c,
		Begin:    func(context.Context) error { return c.begin(a.ctx) },
		HandOver: c.handOver,
	}
	if w.Resume {
		return c.runner.Resume(a.ctx, job)
	}
	job.Claim = c.claim
	return c.runner.Run(a.ctx, job)
}

// runnerOf returns the store's runner. The caller holds mu.
func (a *Agent) runnerOf(mark string) *runner.Runner {
	r := a.runners[mark]
	if r == nil {
		r = a.o.Runner(mark)
		a.runners[mark] = r
	}
	return r
}

func (a *Agent) find(attemptID string) *carried {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.carried[attemptID]
}

var errUnknown = errors.New("it is not carried out here")

func (a *Agent) watched(w *watch) (reply, error) {
	c := a.find(w.Attempt)
	if c == nil {
		return reply{}, errUnknown
	}
	s, err := c.watch(a.ctx, w, pieceMost(a.o.Conn))
	return reply{State: &s}, err
}

// pieceMost is how many bytes of output fit into one message, which holds them in
// base64 among other things.
func pieceMost(c Conn) int {
	return max(1<<10, min(256<<10, (c.MaxPayload()-32<<10)/2))
}

// greet says that the runner is there, and forgets what need not be remembered.
func (a *Agent) greet() {
	defer close(a.done)
	ticker := time.NewTicker(helloEvery)
	defer ticker.Stop()
	for {
		a.sayHello(false)
		a.sweep(time.Now())
		select {
		case <-a.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a *Agent) sayHello(leaving bool) {
	a.mu.Lock()
	h := hello{Version: version, Address: a.address, Release: a.o.Release, Running: a.o.Slots - a.free(), Slots: a.o.Slots, Leaving: leaving}
	a.mu.Unlock()
	data, err := json.Marshal(h)
	if err == nil {
		err = a.o.Conn.Publish(bus.Message{Subject: hellos(a.o.Site, a.o.Name), Data: data})
	}
	if err != nil {
		a.o.Log.Debug("hello not sent", "error", err)
	}
}

func (a *Agent) sweep(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, c := range a.carried {
		if c.stale(now) {
			delete(a.carried, id)
		}
	}
	for call, run := range a.errands {
		if run.stale(now) {
			delete(a.errands, call)
		}
	}
}
