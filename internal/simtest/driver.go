package simtest

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/notifier"
)

// The faults that are actions of the driver.
const (
	serverKilled    Fault = "server killed"
	serverRestarted Fault = "server restarted"
	serverGone      Fault = "server gone for good"
	serverUnheard   Fault = "server not heard"
	targetCut       Fault = "target cut from a server"
	storeCrashed    Fault = "store crashed"
	storeRefuses    Fault = "store refuses for a while"
	targetOffline   Fault = "target offline"
	targetReboots   Fault = "target reboots"
	channelDown     Fault = "channel down"
)

// leastFaults is how many faults a seed has at least.
const leastFaults = 10

// driver tells the story of one seed.
type driver struct {
	*World
	plot    plot
	turn    int
	r       *rand.Rand
	monitor *monitor
	watch   *watcher
	// back is when a server that is down returns; offline, when a target does.
	back    map[int]time.Time
	offline map[string]time.Time
	down    map[string]time.Time
	refuses map[int]time.Time
	// unheard is when a server that is not heard is heard again, cuts when one
	// reaches a target again.
	unheard map[*Server]time.Time
	cuts    map[cut]time.Time
	sent    time.Time
	changes int
	// said are words of people that a server took.
	said []word
}

// cut is a target out of one server's reach.
type cut struct {
	s      *Server
	target string
}

// word is what somebody said, and a server took.
type word struct {
	rollback, what string
	holds          func(backout.Event) bool
}

// Simulate tells the story of a seed, in a bubble of virtual time.
func Simulate(t *testing.T, seed uint64) Result {
	t.Helper()
	p := drawPlot(seed)
	result := Result{Seed: seed, Plot: p.String()}
	dir := memoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(t, p, dir)
		defer func() {
			result.Story, result.Digest, result.Faults, result.Virtual = d.story.String(), d.story.digest(), d.sky.counted(), time.Since(d.story.begin)
			d.sky.clear.Store(true)
			d.sky.late.Wait()
			d.close()
		}()
		d.tell(&result)
	})
	return result
}

// memoryDir is a directory in memory where there is such a thing: a simulated
// power cut loses nothing that was written, so nothing is lost by it.
func memoryDir(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	dir, err := os.MkdirTemp(memory, "backout-sim-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newDriver(t *testing.T, p plot, dir string) *driver {
	d := &driver{
		plot: p, back: map[int]time.Time{}, offline: map[string]time.Time{}, down: map[string]time.Time{}, refuses: map[int]time.Time{},
		unheard: map[*Server]time.Time{}, cuts: map[cut]time.Time{}, r: dice(p.seed, -2),
	}
	told := newStory()
	w := &World{
		t: t, setup: p.setup, dir: dir, hosts: map[string]*Host{}, inboxes: map[string]*Inbox{}, since: map[string]time.Time{}, silences: map[string][]span{}, missed: map[string][]time.Time{},
		templates: sync.OnceValue(notifier.Default),
		story:     told, sky: newSky(p.seed, p.odds, told), log: slog.New(slog.NewTextHandler(io.Writer(told), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	d.World = w
	d.monitor = newMonitor(w, p.direct)
	if p.api {
		w.setup.Alerts = d.monitor
	}
	d.watch = newWatcher(w)
	for _, name := range w.setup.Inventory {
		h := newHost(name)
		h.story = told
		for _, level := range []string{"L1", "L2", "L3"} {
			h.scripts[level] = p.drawScript(d.r, level)
		}
		w.hosts[name] = h
	}
	for _, name := range audiences(w.setup.Plans) {
		w.inboxes[name] = &Inbox{}
	}
	w.bus = bustest.StartIn(t, dir)
	for i := range p.servers {
		started := w.start(fmt.Sprintf("server-%d", i+1))
		w.mu.Lock()
		w.servers = append(w.servers, started)
		w.mu.Unlock()
	}
	return d
}

// up are the servers that run.
func (w *World) up() []*Server {
	var out []*Server
	for _, s := range w.servers {
		if !s.closed && !s.js.dead.Load() {
			out = append(out, s)
		}
	}
	return out
}

// tell lets it all happen, heals the world, and says what was broken.
func (d *driver) tell(result *Result) {
	for ; d.turn < d.plot.turns || d.sky.faults() < leastFaults && d.turn < 4*d.plot.turns; d.turn++ {
		d.r = dice(d.plot.seed, d.turn)
		d.act()
		d.advance(time.Duration(pick(d.r, 0, 1, 1, 5, 20, 60, 60, 180, 300)) * time.Second)
		if result.Broken = d.watch.step(); len(result.Broken) > 0 {
			break
		}
	}
	if len(result.Broken) == 0 {
		d.heal()
		result.Broken = d.finish()
	}
	result.Effects, result.Checks, result.Counts, result.Rollbacks = len(d.Effects()), d.watch.steps, d.watch.counts, map[backout.RollbackStatus]int{}
	for _, r := range d.watch.laws.rollbacks {
		result.Rollbacks[r.Status]++
	}
}

// do takes down what the driver does.
func (d *driver) do(format string, args ...any) {
	d.story.note("do", "%d. %s", d.turn, fmt.Sprintf(format, args...))
}

// advance lets the time pass in small steps, so that who crashed is soon seen to
// be gone and who was to return does.
func (d *driver) advance(much time.Duration) {
	end := time.Now().Add(much)
	for {
		d.tend()
		left := time.Until(end)
		if left <= 0 {
			return
		}
		d.Advance(min(left, 20*time.Second))
	}
}

// tend closes what crashed and brings back what was to return.
func (d *driver) tend() {
	now := time.Now()
	for i, s := range d.servers {
		if !s.closed && s.js.dead.Load() {
			s.Close()
			d.back[i] = now.Add(time.Duration(pick(d.r, 0, 2, 30, 240)) * time.Second)
			d.do("%s is gone until %s", s.name, d.back[i].Sub(d.story.begin))
		}
	}
	d.restart(now)
	for i, until := range d.refuses {
		if !now.Before(until) {
			delete(d.refuses, i)
			d.servers[i].RefuseWrites(false)
		}
	}
	for name, until := range d.offline {
		if !now.Before(until) {
			delete(d.offline, name)
			d.hosts[name].SetOffline(false)
			d.do("%s is reachable", name)
		}
	}
	for name, until := range d.down {
		if !now.Before(until) {
			delete(d.down, name)
			d.inboxes[name].SetDown(false)
		}
	}
	for s, until := range d.unheard {
		if !now.Before(until) {
			delete(d.unheard, s)
			s.Mute(false)
		}
	}
	for c, until := range d.cuts {
		if !now.Before(until) {
			delete(d.cuts, c)
			c.s.Cut(c.target, false)
		}
	}
	every := 5 * time.Minute
	if d.plot.direct {
		every = time.Minute
	}
	if now.Sub(d.sent) >= every {
		d.sent = now
		d.monitor.again()
	}
	if up := d.up(); len(up) > 0 {
		d.monitor.send(up[d.turn%len(up)])
	}
	synctest.Wait()
}

// restart starts the servers whose time has come, and the store before them.
func (d *driver) restart(now time.Time) {
	for i := range d.servers {
		until, away := d.back[i]
		if !away || now.Before(until) {
			continue
		}
		if d.bus == nil {
			d.bus = bustest.StartIn(d.t, d.dir)
		}
		delete(d.back, i)
		started := d.start(d.servers[i].name)
		d.mu.Lock()
		d.servers[i] = started
		d.mu.Unlock()
		d.do("%s starts", d.servers[i].name)
	}
}

// stopServer ends a server, by force or in order, for a while.
func (d *driver) stopServer(i int, kill bool, away time.Duration) {
	s := d.servers[i]
	if kill {
		s.Kill()
	} else {
		s.Close()
	}
	d.back[i] = time.Now().Add(away)
}

// crashStore takes the store away from under the servers, for a while.
func (d *driver) crashStore(away time.Duration) {
	if err := d.bus.Close(); err != nil {
		d.t.Errorf("close bus: %v", err)
	}
	d.bus = nil
	for i := range d.servers {
		if !d.servers[i].closed {
			d.stopServer(i, true, away)
		}
	}
}

// heal ends all trouble and lets people bring every rollback to its end.
func (d *driver) heal() {
	d.do("the world is healed")
	d.sky.clear.Store(true)
	d.tend() // who has crashed just now returns too
	for i := range d.back {
		d.back[i] = time.Now()
	}
	for name, h := range d.hosts {
		d.offline[name] = time.Now()
		h.SetMissing(false)
		for _, level := range []string{"L1", "L2", "L3"} {
			h.On(level, Script{Takes: 10 * time.Second, Heals: true, Reboots: d.plot.reboots(level), BootTakes: 30 * time.Second})
		}
	}
	for name := range d.inboxes {
		d.down[name] = time.Now()
	}
	for i := range d.servers {
		d.refuses[i] = time.Now()
	}
	for s := range d.unheard {
		d.unheard[s] = time.Now()
	}
	for c := range d.cuts {
		d.cuts[c] = time.Now()
	}
	d.advance(30 * time.Second)
	d.resume("the end")
	d.monitor.again()
	d.advance(time.Minute)
	d.checkHeard()
	tries := map[string]int{}
	const longest, helped = 6 * time.Hour, 20 * time.Minute
	for begin := time.Now(); time.Since(begin) < longest && len(d.watch.laws.broken) == 0; {
		for _, name := range d.setup.Inventory {
			h := d.hosts[name]
			h.Release()
			if time.Since(begin) > helped {
				h.SetHealthy(true)
			}
			if h.Healthy() {
				d.monitor.see("WebErrors", name, false)
				d.monitor.see("Latency", name, false)
			}
		}
		if len(d.up()) == 0 {
			d.advance(time.Minute)
			continue
		}
		active := d.active()
		if len(active) == 0 {
			return
		}
		for _, r := range active {
			d.settle(r, tries)
		}
		d.advance(time.Minute)
		d.watch.step()
	}
	if len(d.watch.laws.broken) > 0 {
		return
	}
	for _, r := range d.active() {
		d.watch.laws.fail("stuck: %s is %s (%s) though nothing hinders it", r.ID, r.Status, r.Reason)
	}
}

// active are the rollbacks that have not ended, as a server sees them.
func (d *driver) active() []backout.Rollback {
	rs, err := d.up()[0].engine.ListRollbacks(d.t.Context(), handlers.RollbackFilter{ActiveOnly: true})
	if err != nil {
		d.watch.laws.fail("list rollbacks: %v", err)
	}
	return rs
}

// settle is what people do about a rollback once all is well.
func (d *driver) settle(r backout.Rollback, tries map[string]int) {
	for _, t := range r.Targets {
		switch {
		case t.Phase == backout.TargetInDoubt:
			d.person("ann", r.ID, handlers.Action{Verb: handlers.VerbResolve, AttemptID: t.Attempt.ID, Verdict: d.truth(t)})
		case t.Phase == backout.TargetRunning && d.hosts[t.Name].Running() == 0:
			// Somebody reboots what should have rebooted by itself.
			if tries[t.Attempt.ID]++; tries[t.Attempt.ID]%10 == 5 && r.CurrentLevel().Steps[t.Step].Reboots {
				d.hosts[t.Name].RebootFor(30 * time.Second)
			}
		}
	}
	switch {
	case !r.PausedAt.IsZero():
		d.person("ann", r.ID, handlers.Action{Verb: handlers.VerbResume})
	case r.Status == backout.RollbackHeld && r.HeldCause != backout.HoldDoubt:
		tries[r.ID]++
		verb := handlers.VerbRelease
		if tries[r.ID] > 2 {
			verb = handlers.VerbAbort
		}
		d.person("ann", r.ID, handlers.Action{Verb: verb})
	case r.Ask != nil:
		for _, who := range []string{"ann", "bob", "carl"} {
			d.vote(who, r, backout.ChoiceApprove)
		}
	}
}

// finish waits for the last notices and checks what must hold in the end.
func (d *driver) finish() []string {
	laws := d.watch.laws
	for range 20 {
		d.watch.step()
		if len(laws.broken) > 0 {
			return laws.broken
		}
		if len(d.unread(laws)) == 0 {
			break
		}
		d.advance(30 * time.Second)
	}
	laws.agree()
	for _, broken := range slices.Concat(d.replays(laws), d.untold(laws), d.lost()) {
		laws.fail("%v", broken)
	}
	for _, said := range d.said {
		if !said.kept(laws) {
			laws.fail("%s was taken and is not in the log", said.what)
		}
	}
	return laws.broken
}

// checkHeard: an alert that a server took, on a target of an open change, has led
// to a rollback.
func (d *driver) checkHeard() {
	d.watch.step()
	for _, c := range d.watch.laws.changes {
		for _, a := range d.monitor.firing() {
			since := d.monitor.alerts[a].known
			if since.IsZero() || since.Before(c.OpenedAt) || !c.State.Live() || !slices.Contains(c.Targets, a.Target) {
				continue
			}
			if !slices.ContainsFunc(c.Rollbacks, func(r backout.RollbackRef) bool {
				return r.Status != backout.RollbackCancelled && slices.Contains(r.Targets, a.Target)
			}) {
				d.watch.laws.fail("%s fires on %s since %s, %s is %s, and no rollback has heard of it", a.Name, a.Target, since.Sub(d.story.begin), c.ID, c.State)
			}
		}
	}
}
