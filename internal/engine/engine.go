package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// Config is everything that comes from files and is swapped as one at a reload. A
// rollback that runs keeps the plan it was opened with.
type Config struct {
	Plans     map[string]backout.Plan
	Inventory map[string]backout.Target
	Rules     *rules.Set
	// Runner is the one built in; Sites are those near the targets, by the site
	// they serve. They carry out what begins under this config.
	Runner Site
	Sites  map[string]Site
	// WantsDelta tells whether steps of this executor undo the patch delta; nil when
	// none do.
	WantsDelta func(uses string) bool
	// Groups are the members of each group, for the gate's count of approvers.
	Groups map[string][]string
	// OpenGroups says that an identity provider may know more of them.
	OpenGroups bool
	// MayApprove tells whether a member may approve on all of the targets; nil lets
	// all of them.
	MayApprove func(person string, targets []string) bool
	// Exploited are the CVEs that are known to be exploited.
	Exploited map[string]bool
	// Reach tells whether people can be told; nil when nobody can say, and then a
	// silence counts.
	Reach Reacher
	// Acts tells whether the people of an audience can do something about what they are
	// told; nil says so of all.
	Acts func(audience string) bool
	// Audiences are the channels of each audience, for the gate; nil when it is
	// not to look whether anybody is told.
	Audiences map[string][]string
	// Alerts asks Alertmanager whether an alert still fires; nil asks nobody.
	Alerts FiringAlerts
	// Treated asks it whether an alert is silenced or inhibited; nil asks nobody.
	Treated TreatedAlerts
	// Queries answers the queries of rules; nil when there is no Prometheus.
	Queries Querier
	// Records keeps the records of changes that the gate asks for; nil asks nobody.
	Records Records
	// Monitoring is the dead-man's switch; nil has none.
	Monitoring *Monitoring
	// ReadinessEvery is how often it is looked whether the way back of a live change
	// would still work; 0 means 5 minutes.
	ReadinessEvery time.Duration
	// Promotion is what rules need before they may act.
	Promotion trigger.Policy
	// ExternalURL is where people find this server, for links in notices.
	ExternalURL string
}

// Reacher tells whether anybody who can act can be told of a question and can answer it:
// whether one of the channels works that its notices go by, and since when they have
// been told by it; zero when it is not known. A no without a reason says that it is not
// known yet.
type Reacher interface {
	Reach(ctx context.Context, asked []backout.Notice) (ok bool, since time.Time, why string)
}

// FiringAlerts asks Alertmanager for the fingerprints of what is firing now.
type FiringAlerts interface {
	Firing(ctx context.Context) (map[string]bool, error)
}

// Sender takes notices for delivery; it returns once they are stored.
type Sender interface {
	Send(ctx context.Context, n backout.Notice) error
}

// Options are what an engine is made of.
type Options struct {
	Store  *store.Store
	Server string
	Sender Sender
	Log    *slog.Logger
	// Pulse is how often rules are judged again on what is red, for conditions
	// that time alone makes true; 0 means 5 s.
	Pulse time.Duration
	// Sole says that no other server uses the store: what was claimed under any
	// name is this server's to take up.
	Sole bool
	// Peers are the servers on the same store; nil when this one is the only one, or
	// none takes over from another.
	Peers Peers
	// SnapshotEvery is after how many records the fold is stored again; 0 means
	// 20,000.
	SnapshotEvery int
	// Remember is how far back alerts are read at the start; 0 means 24 h.
	Remember time.Duration
}

// Engine is the shell; see the package's doc.
type Engine struct {
	store    *store.Store
	server   string
	sender   Sender
	log      *slog.Logger
	sole     bool
	pulse    time.Duration
	remember time.Duration

	config    atomic.Pointer[Config]
	changes   *table[backout.Change]
	rollbacks *table[backout.Rollback]
	world     *world
	deadlines *deadlines
	doubts    doubts
	urgent    *lane // what is due of rollbacks
	others    *lane // what is due of changes
	verifiers *verifiers
	compared  *comparisons
	outputs   *outputs
	peers     Peers
	cleaner   *cleaner
	tidier    *tidier
	losses    *losses
	capturing sync.Map // id of the changes whose baselines this process captures
	opening   sync.Map // id of the changes that this process opens by the clock
	tooLate   sync.Map // "change/target" whose patch delta can not be told any more
	carried   sync.Map // attempt id to who has it in this process
	// armWake holds a token when the targets to keep connected may be others.
	armWake   chan struct{}
	reddened  chan struct{} // holds a token when something turned red on a live target
	waiting   sync.Map      // attempt id to why nobody has claimed it, for people
	passed    sync.Map      // attempt id of those that this server could not look after
	stepping  sync.Map      // attempt id of the requested ones that this process tries to run
	over      sync.Map      // a rollback's id to the saidOver that is not believed yet
	owedRed   sync.Map      // "rollback/target" to the red look that is not recorded yet
	plans     sync.Map      // hash of a frozen plan to the one copy of it
	throttles *throttles
	signed    *signatures
	grants    *grants
	scores    *scores
	queries   *queries
	found     *found
	watchers  *watchers
	news      news
	histories *histories
	failing   failures
	posted    atomic.Int64 // counts the posts that this server has heard of
	relay     *relay
	snapshots *snapshots
	// monitoring knows whether anybody would tell that a target is red.
	monitoring *monitoring
	metrics    *Metrics
	notReady   atomic.Pointer[string]
	failed     chan error

	// ctx ends with Close; every goroutine is counted in tasks.
	ctx    context.Context //nolint:containedctx // the life of the engine's own goroutines
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	// spawning keeps the end and a new goroutine from crossing.
	spawning sync.RWMutex
	// live is false while the logs are replayed: nothing is carried out.
	live atomic.Bool
}

// New makes an engine that does nothing yet.
func New(o Options, cfg *Config) *Engine {
	ctx, cancel := context.WithCancel(context.Background())
	e := &Engine{
		store: o.Store, server: o.Server, sole: o.Sole, peers: o.Peers, sender: o.Sender, log: o.Log, pulse: o.Pulse, remember: o.Remember,
		deadlines: newDeadlines(), watchers: newWatchers(), metrics: NewMetrics(),
		throttles: newThrottles(), signed: newSignatures(), grants: newGrants(), scores: newScores(), found: newFound(), losses: newLosses(), ctx: ctx, cancel: cancel,
	}
	if e.pulse == 0 {
		e.pulse = 5 * time.Second
	}
	if e.remember == 0 {
		e.remember = 24 * time.Hour
	}
	e.config.Store(cfg)
	e.news.wake = make(chan struct{}, 1)
	e.outputs = newOutputs(e.news.tell)
	e.queries = newQueries(e)
	e.world = newWorld(e.cfg)
	e.world.queries, e.world.reddened = e.queries, e.news.tell
	e.relay = newRelay(e)
	e.monitoring = newMonitoring(e)
	e.histories = newHistories(e)
	e.metrics.watch(e.monitoring.blindNow, e.monitoring.lastSeen)
	e.snapshots = newSnapshots(e, o.SnapshotEvery)
	e.urgent = &lane{most: dueParallel, spawn: e.spawn, do: e.handleDue}
	e.others = &lane{most: dueParallel, spawn: e.spawn, do: e.handleDue}
	e.verifiers = newVerifiers(e)
	e.compared = newComparisons(e)
	e.cleaner = newCleaner(e)
	e.armWake, e.reddened = make(chan struct{}, 1), make(chan struct{}, 1)
	e.tidier = newTidier(e)
	e.changes = newTable(o.Store.Changes, o.Server, e.foldChange)
	e.changes.moved, e.changes.rest = e.changeMoved, e.changePacker()
	e.rollbacks = newTable(o.Store.Rollbacks, o.Server, e.foldRollback)
	e.rollbacks.moved, e.rollbacks.rest = e.rollbackMoved, e.rollbackPacker()
	e.rollbacks.refusing = e.news.tell
	e.failed = make(chan error, 8) // a place for every follower
	e.notReady.Store(&replaying)
	return e
}

func (e *Engine) foldChange(c backout.Change, seq uint64, rec backout.Record) backout.Change {
	for _, ev := range rec.Events {
		c = change.Apply(c, seq, rec.At, ev)
	}
	c.Frozen = e.shared(c.Frozen)
	return c
}

func (e *Engine) foldRollback(r backout.Rollback, seq uint64, rec backout.Record) backout.Rollback {
	opens := r.ID == ""
	r = rollback.Fold(r, seq, rec)
	if opens && r.ID != "" {
		frozen := r.Frozen
		r.Frozen = *e.shared(&frozen)
	}
	return r
}

// mine tells whether an attempt that the runner claimed is this server's.
func (e *Engine) mine(runner string) bool {
	return runner != "" && (e.sole || runner == e.server)
}

func (e *Engine) cfg() *Config { return e.config.Load() }

// Reconfigure swaps the config. Rules are judged again on what is red.
func (e *Engine) Reconfigure(cfg *Config) {
	e.config.Store(cfg)
	e.world.countAgain(cfg)
	e.recallMatches(time.Now())
	e.spawn(func(ctx context.Context) { e.judgeAll(ctx) })
	e.spawn(e.checkApprovers)
	e.warnOfGone()
	e.armSoon()
	e.news.tell()
}

// Metrics are the engine's own collectors.
func (e *Engine) Metrics() *Metrics { return e.metrics }

// Ready returns nil once the logs are replayed and everything is armed.
func (e *Engine) Ready() error {
	if why := e.notReady.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

// replaying is why an engine that starts is not ready.
var replaying = "replaying the logs"

// Failed gives the error of a follower that has ended: from then on this server
// knows only what it does itself, and must not go on.
func (e *Engine) Failed() <-chan error { return e.failed }

// Start replays the logs, then arms the deadlines, takes up what was left undone,
// and returns when alerts may come. On an error the engine must be closed.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.replay(ctx); err != nil {
		return err
	}
	if err := e.monitoring.start(ctx); err != nil {
		return err
	}
	e.live.Store(true)
	e.countRules()
	e.recallMatches(time.Now())
	e.startPaused(ctx)
	e.checkApprovers(ctx)
	e.warnOfGone()
	e.takeUp()
	e.spawn(func(ctx context.Context) { e.deadlines.run(ctx, e.due) })
	e.spawn(e.pulseLoop)
	e.spawn(e.sweepLoop)
	e.spawn(e.armLoop)
	e.spawn(e.treatedLoop)
	e.spawn(e.monitoring.run)
	e.spawn(e.news.run)
	e.store.Control.OnPause(func(store.PauseState) { e.news.tell() })
	e.spawn(e.cleaner.run)
	e.spawn(e.tidier.run)
	e.notReady.CompareAndSwap(&replaying, nil)
	e.relay.wake() // much may have been read that no snapshot covers
	return nil
}

// Close ends every goroutine of the engine and waits for them. Steps that run on
// targets go on there. What came since the last snapshot may make one more, which
// takes 10 s at most.
func (e *Engine) Close() {
	e.spawning.Lock()
	e.cancel()
	e.spawning.Unlock()
	e.tasks.Wait()
	e.snapshots.end(&e.relay.folded)
}

// spawn runs fn in a goroutine that Close waits for; after Close it does nothing.
func (e *Engine) spawn(fn func(ctx context.Context)) {
	e.spawning.RLock()
	defer e.spawning.RUnlock()
	if e.ctx.Err() == nil {
		e.tasks.Go(func() { fn(e.ctx) })
	}
}

// replay starts the followers and waits until each has handed over what was there
// when it began.
func (e *Engine) replay(ctx context.Context) error {
	caught := make(chan struct{}, 8) // a place for every follower
	relay := e.relay
	follow := func(name string, run func(ctx context.Context, caughtUp func()) error) {
		e.spawn(func(ctx context.Context) {
			err := run(ctx, func() { caught <- struct{}{} })
			if err != nil && ctx.Err() == nil {
				e.log.Error("follower stopped", "stream", name, "error", err)
				why := "follower of " + name + " stopped: " + err.Error()
				e.notReady.Store(&why)
				e.failed <- fmt.Errorf("follow %s: %w", name, err)
			}
		})
	}
	if err := relay.load(ctx); err != nil {
		return err
	}
	from := e.snapshots.resume(ctx)
	changes, rollbacks := stored(from.changesAt, from.changes), stored(from.rollbacksAt, from.rollbacks)
	relay.folded = from // its notices are handed over, by whichever server
	e.spawn(relay.run)
	follow("changes", func(ctx context.Context, caughtUp func()) error {
		return e.store.Changes.FollowAfter(ctx, changes, func(entry store.Entry) error {
			e.world.noteVerdicts(entry.Record)
			e.changes.replayed(ctx, entry, e.live.Load())
			relay.take(relayed{entry: entry, change: true})
			return nil
		}, caughtUp)
	})
	follow("rollbacks", func(ctx context.Context, caughtUp func()) error {
		return e.store.Rollbacks.FollowAfter(ctx, rollbacks, func(entry store.Entry) error {
			e.rollbacks.replayed(ctx, entry, e.live.Load())
			e.watchers.tell(entry)
			relay.take(relayed{entry: entry})
			return nil
		}, caughtUp)
	})
	follow("promotions", e.followGrants)
	for range 3 {
		if err := e.await(ctx, caught); err != nil {
			return err
		}
	}
	// Alerts come last: whether one counts depends on the changes.
	e.changes.awake(func(_ string, c backout.Change) { e.world.changed(c) })
	since := time.Now().Add(-e.remember)
	follow("alerts", func(ctx context.Context, caughtUp func()) error {
		return e.store.Alerts.FollowOthers(ctx, since, e.replayedPost, caughtUp)
	})
	return e.await(ctx, caught)
}

func (e *Engine) await(ctx context.Context, caught <-chan struct{}) error {
	select {
	case <-caught:
		return nil
	case err := <-e.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("replay: %w", context.Cause(ctx))
	}
}

// takeUp does what the logs say is undone.
func (e *Engine) takeUp() {
	e.changes.awake(func(id string, c backout.Change) {
		e.world.changed(c)
		e.armChange(id)
		e.reconcile(id)
		e.armDelta(backout.Change{}, c)
		e.armReady(backout.Change{}, c)
		if c.Capture != nil && e.mine(c.Capture.Server) {
			e.spawn(func(ctx context.Context) { e.abandon(ctx, c) })
		}
	})
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		e.armRollback(id)
		e.armReach(backout.Rollback{}, r)
		if r.Status.Final() {
			return
		}
		e.metrics.found(r)
		e.cancelQuiet(r)
		e.carryOut(rollback.Outstanding(r))
		for _, t := range r.Targets {
			if t.Phase == backout.TargetRunning && t.Attempt != nil && e.mine(t.Attempt.Runner) {
				e.resumeAttempt(r, t)
			}
		}
		e.endStalePause(r)
		e.verifiers.want(r)
	})
	e.spawn(func(ctx context.Context) { e.judgeAll(ctx) })
}

// reconcileRef brings a change and one of its rollbacks to the same knowledge.
func (e *Engine) reconcileRef(changeID string, ref backout.RollbackRef) {
	if ref.Status.Final() {
		return
	}
	r, ok := e.rollbacks.get(ref.ID)
	switch {
	case !ok:
		e.spawn(func(ctx context.Context) { e.openFromLog(ctx, changeID, ref.ID) })
	case r.Status.Final():
		e.spawn(func(ctx context.Context) { e.rollbackEnded(ctx, r) })
	}
}

// reconcile does that for every rollback of a change.
func (e *Engine) reconcile(changeID string) {
	c, _ := e.changes.get(changeID)
	for _, ref := range c.Rollbacks {
		e.reconcileRef(changeID, ref)
	}
}

// due is called by the deadline loop. An escalation never waits for a gate.
func (e *Engine) due(keys []string) {
	var urgent, others []string
	for _, key := range slices.Backward(keys) {
		if _, ok := cutKey(key, rollbackKey); ok {
			urgent = append(urgent, key)
		} else {
			others = append(others, key)
		}
	}
	e.urgent.add(urgent...)
	e.others.add(others...)
}

// handleDue does what a key is armed for.
func (e *Engine) handleDue(ctx context.Context, key string) {
	var err error
	if id, ok := cutKey(key, rollbackKey); ok {
		if until, waits := e.afterJudge(id); waits {
			e.deadlines.set(key, until, true)
			return
		}
		err = e.clock(ctx, id)
	} else if id, ok := cutKey(key, reachKey); ok {
		e.reachDue(ctx, id)
	} else if id, ok := cutKey(key, changeKey); ok {
		err = e.changeDue(ctx, id)
	} else if id, ok := cutKey(key, reconcileKey); ok {
		e.reconcile(id)
	} else if id, ok := cutKey(key, deltaKey); ok {
		e.spawn(func(ctx context.Context) { e.deltaDue(ctx, id) })
	} else if id, ok := cutKey(key, readyKey); ok {
		e.spawn(func(ctx context.Context) { e.readyDue(ctx, id) })
	}
	if err == nil || errors.Is(err, backout.ErrFinal) {
		return
	}
	e.log.Error("deadline not handled, trying again", "key", key, "error", err)
	e.deadlines.set(key, time.Now().Add(5*time.Second), true)
}

// dueParallel is how many deadlines of a kind are handled at once. More would not
// be stored faster, and people's inputs would wait behind them.
const dueParallel = 32

const (
	rollbackKey  = "rollback/"
	changeKey    = "change/"
	reconcileKey = "reconcile/"
	deltaKey     = "delta/"
	readyKey     = "ready/"
	reachKey     = "reach/"
)

func cutKey(key, prefix string) (string, bool) {
	if len(key) > len(prefix) && key[:len(prefix)] == prefix {
		return key[len(prefix):], true
	}
	return "", false
}
