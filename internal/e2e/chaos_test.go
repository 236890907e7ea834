package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
)

// How long the first action after a fault may take. Single servers are measured
// from the new start of the process, clusters from the fault itself: NATS takes 4
// to 9 s to elect a new leader, one that is cut off takes 10 to notice, and a runner
// that falls silent is believed for 10.
const (
	singleBar  = 3 * time.Second
	clusterBar = 20 * time.Second
)

// Where a chaos run is asked for by name, its size and its seed.
const (
	chaosTrials = "BACKOUT_CHAOS_TRIALS"
	chaosSeed   = "BACKOUT_CHAOS_SEED"
)

// chaosSize is how many trials to run, and from which seed. An ordinary test run
// takes the short form, beside other tests; of those that are asked for, a test
// whose trials take long runs one in so many.
func chaosSize(t testing.TB, short, of int) (trials int, seed uint64) {
	t.Helper()
	trials, seed = short, rand.Uint64N(1_000_000)
	if n, ok := envNumber(t, chaosTrials); ok {
		trials = max(1, n/of)
	} else if t, ok := t.(*testing.T); ok {
		t.Parallel()
	}
	if n, ok := envNumber(t, chaosSeed); ok {
		seed = uint64(n)
	}
	return trials, seed
}

func envNumber(t testing.TB, name string) (n int, given bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s is %q: give a number", name, text)
	}
	return n, true
}

// chaos runs trials one after the other, and returns those that were carried out.
func (g *ground) chaos(test string, trials int, seed uint64, draw func(*rand.Rand) fault) []*trial {
	g.t.Helper()
	g.t.Logf("%d trials from seed %d", trials, seed)
	var done []*trial
	for i := range trials {
		s := seed + uint64(i)
		tr := newTrial(g, rand.New(rand.NewPCG(s, 0)), i, draw)
		tr.replay = fmt.Sprintf("make chaos CHAOS=%s TRIALS=1 SEED=%d", test, s)
		done = append(done, tr)
		if !tr.run() {
			g.t.Error("the trials end here: what is stuck is in the way of the next")
			break
		}
	}
	return done
}

// mustResume fails when the first action after a fault took longer than the bar;
// far longer, where other tests run beside.
func mustResume(t testing.TB, trials []*trial, bar time.Duration) {
	t.Helper()
	if _, alone := envNumber(t, chaosTrials); !alone {
		bar *= 5
	}
	for _, tr := range trials {
		if most := slices.Max(append(tr.figures.resumed, 0)); most > bar {
			t.Errorf("trial %d (%s): the first action came after %s, want under %s; replay: %s", tr.number, tr.fault.name, most, bar, tr.replay)
		}
	}
}

// TestChaosSingle: whatever is killed at whatever moment, a single server's
// rollbacks come to their end, each step once, and everybody is told.
func TestChaosSingle(t *testing.T) {
	trials, seed := chaosSize(t, 8, 1)
	g := newGround(t, 1, nil)
	g.boot()
	done := g.chaos("TestChaosSingle", trials, seed, g.embeddedFault)
	g.finish("data", fmt.Sprintf("Single server, embedded store, seed %d", seed), done)
}

// finish checks what a single server left behind in its directory.
func (g *ground) finish(data, title string, done []*trial) {
	g.t.Helper()
	mustResume(g.t, done, singleBar)
	g.checkNotices(done, 60*time.Second)
	for _, srv := range g.alive() {
		srv.terminate(20 * time.Second)
	}
	g.audit(bus.Options{DataDir: g.sites[0].path(data)}, 1, done)
	g.checkTargets(done)
	publish(g.t, table(title, done))
}

// TestChaosCluster: the same of several servers on a cluster of three NATS nodes,
// with any server or node killed and any link cut.
func TestChaosCluster(t *testing.T) {
	trials, seed := chaosSize(t, 3, 5)
	g := newGround(t, 3, newNATSCluster(t, nil))
	g.boot()
	done := g.chaos("TestChaosCluster", trials, seed, g.clusterFault)
	g.finishCluster(fmt.Sprintf("Three servers on a cluster of three NATS nodes, seed %d", seed), done)
}

// TestChaosRunners: the same with a target that two runners of its site reach, with
// any of them killed or cut off, also while servers die.
func TestChaosRunners(t *testing.T) {
	trials, seed := chaosSize(t, 2, 5)
	g := newGround(t, 3, newNATSCluster(t, newOperator(t)))
	g.boot()
	done := g.chaos("TestChaosRunners", trials, seed, g.runnerFault)
	g.finishCluster(fmt.Sprintf("The same with two runners of a site, seed %d", seed), done)
}

// finishCluster checks what several servers left behind on their cluster.
func (g *ground) finishCluster(title string, done []*trial) {
	g.t.Helper()
	mustResume(g.t, done, clusterBar)
	g.checkNotices(done, 90*time.Second)
	o := bus.Options{}
	_, o.URL = g.cluster.links()
	if g.cluster.users != nil {
		o.Credentials = backout.SecretValue(g.cluster.users.creds("--server"))
	}
	g.audit(o, 3, done)
	g.checkTargets(done)
	publish(g.t, table(title, done))
}
