package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestServersStartTogether: several servers that start at the same moment on an
// empty cluster are all ready within the minute that a start waits for an
// election; and so they are after every node and every server was killed. What was
// there is there again.
func TestServersStartTogether(t *testing.T) {
	t.Parallel()
	cluster := newNATSCluster(t, nil)
	g := newGround(t, 3, cluster)
	slowest := g.bootTogether()
	t.Logf("on an empty cluster: ready in %s", slowest)
	srv := g.alive()[0]
	spec := backout.ChangeSpec{
		ID: srv.site.change, Title: "web shop 2.0", Targets: chaosTargets[:1], Plan: "heals", Owner: "ann",
		Window: backout.Window{Opens: time.Now(), Closes: time.Now().Add(time.Hour), Watch: backout.Duration(time.Hour)},
	}
	if _, err := srv.client.PlanChange(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	for i := range cluster.nodes {
		cluster.kill(i)
	}
	for i := range g.sites {
		g.slay(i)
	}
	for i, n := range cluster.nodes {
		cluster.start(i)
		// A start does not wait for a NATS that nobody can connect to.
		eventually(t, 30*time.Second, n.name+" listens", func() error {
			c, err := net.Dial("tcp", n.client)
			if err == nil {
				err = c.Close()
			}
			return err
		})
	}
	slowest = g.bootTogether()
	t.Logf("on a cluster that was killed: ready in %s", slowest)
	for _, srv := range g.alive() {
		if _, err := srv.client.Change(t.Context(), spec.ID); err != nil {
			t.Errorf("%s: %v", srv.site.name, err)
		}
	}
}

// bootTogether starts every server at once, and returns how long the slowest took.
func (g *ground) bootTogether() (slowest time.Duration) {
	g.t.Helper()
	began := time.Now()
	var starts []*process
	for _, s := range g.sites {
		p := s.launch()
		p.silent.Store(true)
		starts = append(starts, p)
	}
	for i, p := range starts {
		srv, err := g.sites[i].await(p, 90*time.Second)
		if err != nil {
			g.t.Fatalf("%s: %v", g.sites[i].name, err)
		}
		g.servers[i] = srv
	}
	return time.Since(began).Round(time.Millisecond)
}

// TestNamesakes: two servers of one name would take each other's attempts for
// their own. Both say so, and neither is ready, until one of them is gone.
func TestNamesakes(t *testing.T) {
	t.Parallel()
	url, step := natsServer(t), newStep(t)
	servers := make([]*server, 2)
	for i := range servers {
		s := newSite(t, step.plan(), autoRule, web1)
		s.name, s.more = "twin", fmt.Sprintf("nats: {url: %q}\n", url)
		servers[i] = s.serve()
	}
	for i, srv := range servers {
		eventually(t, 60*time.Second, "it is not ready", func() error { return get(srv.url+"/readyz", http.StatusServiceUnavailable) })
		if !strings.Contains(srv.said.String(), "another server on this NATS has the same server_name") {
			t.Errorf("server %d does not say that another has its name", i+1)
		}
	}
	servers[1].kill()
	eventually(t, 60*time.Second, "the other is ready again", func() error { return get(servers[0].url+"/readyz", http.StatusOK) })
}
