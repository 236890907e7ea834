package e2e

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// fault is something that goes wrong and is put right again.
type fault struct {
	name string
	// before, if any, is called before the alert is sent, after when the rollback
	// has ended.
	before, after func()
	// hit makes it happen; heal returns once the part is back.
	hit, heal func()
	// down is how long it lasts, beside what heal takes.
	down time.Duration
}

// upTo draws a time below most.
func upTo(rng *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(most)))
}

// killServer kills the server that which names when it happens, and starts it
// again; one time in four it is killed once more while it starts.
func (g *ground) killServer(rng *rand.Rand, which func() int) fault {
	again := rng.IntN(4) == 0
	wait := upTo(rng, 400*time.Millisecond)
	hit := 0
	return fault{
		name: "kill -9 server",
		hit:  func() { hit = which(); g.slay(hit) },
		heal: func() {
			if again {
				p := g.sites[hit].launch()
				p.silent.Store(true)
				<-time.After(wait) // no event is waited for: the kill is to come at any point
				p.kill()
			}
			g.revive(hit)
		},
		down: upTo(rng, 300*time.Millisecond),
	}
}

// busy is the server that has an attempt in hand, or otherwise this one.
func (g *ground) busy(otherwise int) int {
	i := -1
	g.attempts(func(a *backout.Attempt) bool {
		i = slices.IndexFunc(g.sites, func(s *site) bool { return s.name == a.Runner })
		return i >= 0
	})
	if i < 0 {
		return otherwise
	}
	return i
}

// attempts calls found with those that run, until it returns true.
func (g *ground) attempts(found func(*backout.Attempt) bool) {
	for _, srv := range g.alive() {
		list, err := srv.client.ListRollbacks(g.t.Context(), handlers.RollbackFilter{ActiveOnly: true})
		if err != nil {
			continue
		}
		for _, r := range list {
			for _, t := range r.Targets {
				if t.Phase == backout.TargetRunning && t.Attempt != nil && found(t.Attempt) {
					return
				}
			}
		}
		return
	}
}

func (g *ground) killSSHD(rng *rand.Rand) fault {
	return fault{
		name: "kill -9 sshd",
		hit:  func() { g.sshd.Kill(g.t) }, heal: func() { g.sshd.Restart(g.t) },
		down: upTo(rng, 500*time.Millisecond),
	}
}

// both makes two faults one.
func both(a, b fault) fault {
	return fault{
		name: a.name + " and " + b.name,
		hit:  func() { a.hit(); b.hit() }, heal: func() { b.heal(); a.heal() },
		down: max(a.down, b.down),
	}
}

// embeddedFault draws what goes wrong where the store is the server's own.
func (g *ground) embeddedFault(rng *rand.Rand) fault {
	switch n := rng.IntN(10); {
	case n < 6:
		return g.killServer(rng, func() int { return 0 })
	case n < 8:
		return both(g.killServer(rng, func() int { return 0 }), g.killSSHD(rng))
	}
	return g.killSSHD(rng)
}

// clusterFault draws what goes wrong where several servers share a cluster.
func (g *ground) clusterFault(rng *rand.Rand) fault {
	server, node := rng.IntN(len(g.servers)), rng.IntN(len(g.cluster.nodes))
	how := broken
	if rng.IntN(2) == 0 {
		how = silentCut
	}
	switch rng.IntN(9) {
	case 0, 1:
		f := g.killServer(rng, func() int { return g.busy(server) })
		f.down = upTo(rng, 2*time.Second)
		if rng.IntN(2) == 0 {
			f.name = "kill -9 server for good"
			f.heal, f.after = func() {}, f.heal
		}
		return f
	case 7:
		return g.killSSHD(rng)
	case 8:
		return cutLinks("cut servers from sshd, "+how.String(), how, g.near, upTo(rng, 4*time.Second))
	case 2:
		return g.killNode(rng, "kill -9 NATS node", func() int { return node })
	case 3:
		return g.killNode(rng, "kill -9 NATS leader", func() int { return g.cluster.leader("BACKOUT_ROLLBACKS") })
	case 4:
		return fault{
			name: "freeze NATS node",
			hit:  func() { g.cluster.freeze(node) }, heal: func() { g.cluster.thaw(node) }, down: upTo(rng, 4*time.Second),
		}
	case 5:
		return cutLinks("cut server from NATS, "+how.String(), how, g.nats[server], upTo(rng, 4*time.Second))
	}
	return cutLinks("cut NATS node from others, "+how.String(), how, g.cluster.around(node), upTo(rng, 6*time.Second))
}

// killNode kills the node that which names when it happens.
func (g *ground) killNode(rng *rand.Rand, name string, which func() int) fault {
	hit := 0
	return fault{
		name: name,
		hit:  func() { hit = which(); g.cluster.kill(hit) }, heal: func() { g.cluster.start(hit) },
		down: upTo(rng, 2*time.Second),
	}
}

func cutLinks(name string, how cut, links []*link, down time.Duration) fault {
	all := func(state cut) func() {
		return func() {
			for _, l := range links {
				l.set(state)
			}
		}
	}
	return fault{name: name, hit: all(how), heal: all(whole), down: down}
}
