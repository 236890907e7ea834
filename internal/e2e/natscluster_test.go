package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// natsCluster is three real NATS servers on this machine that form a cluster.
type natsCluster struct {
	t       testing.TB
	program string
	nodes   []*natsNode
	// users may connect; nil lets everybody.
	users *natsUsers
}

// natsNode is one of them. Others reach it over links only.
type natsNode struct {
	name, dir              string
	client, route, monitor string
	// routes leads to each other node, by its number.
	routes map[int]*link
	run    *process
}

// newNATSCluster starts the nodes and returns when they have a leader. Users, if
// any, are all that may connect.
func newNATSCluster(t testing.TB, users *natsUsers) *natsCluster {
	t.Helper()
	c := &natsCluster{t: t, users: users, program: programs.nats.build(t, "nats-server", "github.com/nats-io/nats-server/v2")}
	for i := range 3 {
		n := &natsNode{name: fmt.Sprintf("n%d", i+1), dir: t.TempDir(), routes: map[int]*link{}}
		n.client, n.route, n.monitor = ownPorts(t)
		c.nodes = append(c.nodes, n)
	}
	for i, n := range c.nodes {
		for j, other := range c.nodes {
			if j != i {
				n.routes[j] = newLink(t, other.route)
			}
		}
	}
	for i := range c.nodes {
		c.start(i)
	}
	c.await(60 * time.Second)
	return c
}

// ownPorts are three free ports on a loopback address that nothing else uses: a
// node that is dead finds them free again.
func ownPorts(t testing.TB) (a, b, c string) {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 16+rand.IntN(200), rand.IntN(250), 1+rand.IntN(250))
	var ports [3]string
	for i := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().String()
	}
	return ports[0], ports[1], ports[2]
}

// around are the links to and from a node.
func (c *natsCluster) around(node int) []*link {
	var links []*link
	for i, n := range c.nodes {
		for j, l := range n.routes {
			if i == node || j == node {
				links = append(links, l)
			}
		}
	}
	return links
}

// config lets nodes reach each other over links only: the address that they
// advertise leads nowhere, or they would find ways of their own.
func (n *natsNode) config() string {
	var routes []string
	for _, l := range n.routes {
		routes = append(routes, fmt.Sprintf("%q", "nats://"+l.addr()))
	}
	return fmt.Sprintf(`server_name: %s
listen: %q
http: %q
max_payload: 8MB
ping_interval: "2s"
jetstream { store_dir: %q, max_file_store: 64GB, sync_interval: always }
cluster { name: chaos, listen: %q, advertise: "127.0.0.1:1", no_advertise: true, ping_interval: "1s", routes: [%s] }
`, n.name, n.client, n.monitor, filepath.Join(n.dir, "data"), n.route, strings.Join(routes, ", "))
}

// start starts a node, in place.
func (c *natsCluster) start(i int) {
	c.t.Helper()
	n := c.nodes[i]
	text := n.config()
	if c.users != nil {
		text += c.users.config
	}
	write(c.t, filepath.Join(n.dir, "nats.conf"), text, 0o644)
	n.run = start(c.t, exec.Command(c.program, "-c", filepath.Join(n.dir, "nats.conf")))
	n.run.silent.Store(true)
}

// kill ends a node as a crash does.
func (c *natsCluster) kill(i int) { c.nodes[i].run.kill() }

// freeze stops a node without ending it; thaw lets it go on.
func (c *natsCluster) freeze(i int) { _ = c.nodes[i].run.cmd.Process.Signal(syscall.SIGSTOP) }
func (c *natsCluster) thaw(i int)   { _ = c.nodes[i].run.cmd.Process.Signal(syscall.SIGCONT) }

// await returns when every node is healthy: it knows the leader, and its streams
// are those of the others.
func (c *natsCluster) await(within time.Duration) {
	c.t.Helper()
	for _, n := range c.nodes {
		eventually(c.t, within, n.name+" is healthy", func() error { return get("http://"+n.monitor+"/healthz", http.StatusOK) })
	}
}

// leader is the node that leads the stream, or a node when nobody does.
func (c *natsCluster) leader(stream string) int {
	for i, n := range c.nodes {
		var said struct {
			Accounts []struct {
				Streams []struct {
					Name    string
					Cluster struct{ Leader string }
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if ask("http://"+n.monitor+"/jsz?streams=1", &said) != nil {
			continue
		}
		for _, a := range said.Accounts {
			for _, s := range a.Streams {
				if s.Name == stream && s.Cluster.Leader == n.name {
					return i
				}
			}
		}
	}
	return 0
}

// ask reads JSON.
func ask(url string, into any) error {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

// links leads to every node; url names them for a client.
func (c *natsCluster) links() (links []*link, url string) {
	urls := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		l := newLink(c.t, n.client)
		links = append(links, l)
		urls[i] = "nats://" + l.addr()
	}
	return links, strings.Join(urls, ",")
}
