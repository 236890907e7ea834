package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// benchWebhook is a body as Alertmanager writes it: eight labels and four
// annotations an alert, about 700 bytes.
func benchWebhook(b *testing.B, alerts int) []byte {
	b.Helper()
	list := make([]map[string]any, alerts)
	for i := range list {
		list[i] = map[string]any{
			"status": "firing", "startsAt": "2026-11-22T23:47:07.755277239Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "5464dd561d33799d",
			"generatorURL": "http://prometheus.example.net:9090/graph?g0.expr=rate%28errors%5B1m%5D%29+%3E+0.05&g0.tab=1",
			"labels": map[string]string{
				"alertname": "HighErrorRate", "severity": "critical", "team": "web", "cluster": "prod-eu-1", "service": "checkout",
				"instance": fmt.Sprintf("web-%04d.example.net:9100", i), "job": "node", "environment": "production",
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

// BenchmarkIntake measures requests over 64 real loopback connections, against a
// null handler that reads the body, in the same run. The client's own cost is in
// both.
func BenchmarkIntake(b *testing.B) {
	null := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	f := &fake{onAccept: func(context.Context, Delivery) error { return nil }}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	ours := New(Options{Intake: f, Changes: f, Rollbacks: f, Control: f, Log: log})
	for _, alerts := range []int{1, 10, 100} {
		body := benchWebhook(b, alerts)
		for name, handler := range map[string]http.Handler{"null": null, "backout": ours} {
			b.Run(fmt.Sprintf("alerts=%d/%s", alerts, name), func(b *testing.B) { benchPosts(b, handler, body, alerts) })
		}
	}
}

func benchPosts(b *testing.B, handler http.Handler, body []byte, alerts int) {
	const connections = 64
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(ln) }()
	defer func() { _ = srv.Close() }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	url := "http://" + ln.Addr().String() + webhookPath
	b.SetParallelism(connections / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	before := processorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Post(url, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				b.Errorf("answered %d", res.StatusCode)
				return
			}
		}
	})
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-us/req")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64(b.N*alerts)/b.Elapsed().Seconds(), "alerts/s")
}

// BenchmarkWebhook is the handler alone, without the network.
func BenchmarkWebhook(b *testing.B) {
	f := &fake{onAccept: func(context.Context, Delivery) error { return nil }}
	h := New(Options{Intake: f, Changes: f, Rollbacks: f, Control: f, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, alerts := range []int{1, 10, 100} {
		body := benchWebhook(b, alerts)
		b.Run(fmt.Sprintf("alerts=%d", alerts), func(b *testing.B) {
			b.ReportAllocs()
			r := request("POST", webhookPath, "")
			r.Header.Set("Content-Type", "application/json")
			for b.Loop() {
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				h.ServeHTTP(&nullWriter{header: http.Header{}}, r)
			}
		})
	}
}

type nullWriter struct{ header http.Header }

func (n *nullWriter) Header() http.Header         { return n.header }
func (n *nullWriter) WriteHeader(int)             {}
func (n *nullWriter) Write(p []byte) (int, error) { return len(p), nil }

// processorTime is what the whole process has used: it tells more than the wall
// clock on a machine that others use too.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
