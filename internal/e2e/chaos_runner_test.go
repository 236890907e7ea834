package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// newRunners lays out the two runners of site fra, which reach its target as the
// servers reach theirs, and returns what the servers' config says of them.
func (g *ground) newRunners(reach string) (config string) {
	g.t.Helper()
	key := g.file("runners.key", "")
	public := strings.TrimSpace(must(g.t, "runner", "keygen", "--file", key))
	for i := range 2 {
		links, urls := g.cluster.links()
		g.theirs = append(g.theirs, links)
		g.runners = append(g.runners, newRunner(g.t, fmt.Sprintf("fra-%d", i+1), urls, g.cluster.users, public, reach))
	}
	return fmt.Sprintf("runners: {signing_key: {file: %q}, sites: [fra]}\n", key)
}

// runnerFault draws what goes wrong near the targets; one time in two the server
// that has an attempt in hand is killed too.
func (g *ground) runnerFault(rng *rand.Rand) fault {
	one, server := rng.IntN(len(g.runners)), rng.IntN(len(g.servers))
	how := broken
	if rng.IntN(2) == 0 {
		how = silentCut
	}
	var f fault
	switch rng.IntN(5) {
	case 0, 1:
		f = g.killRunners("kill -9 runner", rng, func() []int { return []int{g.carrying(one)} })
	case 2:
		f = g.killRunners("kill -9 both runners", rng, func() []int { return []int{0, 1} })
	case 3:
		// Longer than a silent runner is believed.
		f = cutLinks("cut runner from NATS, "+how.String(), how, g.theirs[one], upTo(rng, 13*time.Second))
	case 4:
		f = cutLinks("cut runners from sshd, "+how.String(), how, g.near[:1], upTo(rng, 4*time.Second))
	}
	if rng.IntN(2) == 0 {
		f = both(f, g.killServer(rng, func() int { return g.busy(server) }))
	}
	return f
}

// killRunners kills those that which names when it happens.
func (g *ground) killRunners(name string, rng *rand.Rand, which func() []int) fault {
	var hit []int
	return fault{
		name: name,
		hit: func() {
			hit = which()
			for _, i := range hit {
				g.runners[i].kill()
			}
		},
		heal: func() {
			for _, i := range hit {
				g.runners[i].start(60 * time.Second)
				g.runners[i].silent.Store(true)
			}
		},
		down: upTo(rng, 3*time.Second),
	}
}

// carrying is the runner that carries an attempt, or otherwise this one.
func (g *ground) carrying(otherwise int) int {
	i := -1
	g.attempts(func(a *backout.Attempt) bool {
		i = slices.IndexFunc(g.runners, func(r *nearRunner) bool { return r.name == a.Via })
		return i >= 0
	})
	if i < 0 {
		return otherwise
	}
	return i
}
