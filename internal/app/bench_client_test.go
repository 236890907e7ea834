package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// benchBody is a webhook as Alertmanager writes it: eight labels and four
// annotations an alert, about 700 bytes.
func benchBody(b *testing.B, name string, instances ...string) []byte {
	b.Helper()
	started := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339Nano)
	list := make([]map[string]any, len(instances))
	for i, instance := range instances {
		list[i] = map[string]any{
			"status": "firing", "startsAt": started, "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "5464dd561d33799d",
			"generatorURL": "http://prometheus.example.net:9090/graph?g0.expr=rate%28errors%5B1m%5D%29+%3E+0.05&g0.tab=1",
			"labels": map[string]string{
				"alertname": name, "severity": "critical", "team": "web", "cluster": "prod-eu-1", "service": "checkout",
				"instance": instance, "job": "node", "environment": "production",
			},
			"annotations": map[string]string{
				"summary": "5xx rate above 5 % on checkout", "description": "The error rate of checkout has been above 5 % for two minutes.",
				"runbook_url": "https://runbooks.example.net/checkout", "dashboard": "https://grafana.example.net/d/abc",
			},
		}
	}
	body, err := json.Marshal(map[string]any{"version": "4", "status": "firing", "receiver": "backout", "groupKey": "{}", "truncatedAlerts": 0, "alerts": list})
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// strangers names n hosts that no change touches, from the first on.
func strangers(first, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("db-%05d.example.net:9100", first+i)
	}
	return names
}

// benchRequest is the request as it goes over the wire.
func benchRequest(body []byte) []byte {
	head := fmt.Sprintf("POST /api/v1/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Alertmanager/0.28.1\r\n"+
		"Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", benchToken, len(body))
	return append([]byte(head), body...)
}

// benchConn is one kept connection that costs the processor as little as can be:
// requests are made before, and of an answer only the first line counts.
type benchConn struct {
	net.Conn
	buf [4096]byte
}

func dialBench(addr string) (*benchConn, error) {
	c, err := net.Dial("tcp", addr)
	return &benchConn{Conn: c}, err
}

// post sends the request and waits for its answer.
func (c *benchConn) post(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	for n := 0; n < len(c.buf); {
		got, err := c.Read(c.buf[n:])
		if err != nil {
			return err
		}
		n += got
		// Every answer to an accepted alert has an empty body.
		if answer := c.buf[:n]; bytes.HasSuffix(answer, []byte("\r\n\r\n")) {
			if !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("answered %q", answer)
			}
			return nil
		}
	}
	return fmt.Errorf("answered %q", c.buf[:])
}

// crowd is many connections that post at once.
type crowd []*benchConn

func newCrowd(b *testing.B, addr string, n int) crowd {
	b.Helper()
	c := make(crowd, n)
	for i := range c {
		var err error
		if c[i], err = dialBench(addr); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c[i].Close() })
	}
	return c
}

// spent is what a number of requests took: wall clock, and processor time of the
// whole process, which is client and server.
type spent struct {
	requests  int
	wall, cpu time.Duration
}

func (s *spent) add(o spent) { s.requests += o.requests; s.wall += o.wall; s.cpu += o.cpu }

func (s spent) perSecond() float64 { return float64(s.requests) / s.wall.Seconds() }

func (s spent) cpuPerRequest() float64 {
	return float64(s.cpu.Nanoseconds()) / 1000 / float64(s.requests)
}

// post sends n requests over all connections, taking the bodies in turn.
func (c crowd) post(b *testing.B, n int, requests ...[]byte) spent {
	b.Helper()
	var sent atomic.Int64
	var all sync.WaitGroup
	cpu, began := processorTime(b), time.Now()
	for _, conn := range c {
		all.Go(func() {
			for i := sent.Add(1); i <= int64(n); i = sent.Add(1) {
				if err := conn.post(requests[int(i)%len(requests)]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return spent{requests: n, wall: time.Since(began), cpu: processorTime(b) - cpu}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// nullServer reads each body and answers 200.
func nullServer(b *testing.B) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = srv.Serve(ln) }()
	b.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String()
}

// share returns the value below which the share of them lies.
func share(values []time.Duration, part float64) time.Duration {
	slices.Sort(values)
	return values[min(len(values)-1, int(float64(len(values))*part))]
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
