package app_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/auth/authtest"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/host/ssh/sshtest"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/store"
)

func TestMain(m *testing.M) {
	sshtest.Main()
	authtest.Main(m)
}

// fanTargets are behind a network with fanRTT between question and answer.
const (
	fanTargets = 1000
	fanRTT     = 50 * time.Millisecond
)

// BenchmarkFanOut measures from the request that starts a rollback of a thousand
// targets over SSH to the moment the step has begun on the last of them: claims,
// boot ids and attempts as always, and nothing runs there. Armed: the targets of the
// open change were connected before. Cold: they were not. The processor time is that
// of the server alone, the far ends are another process.
func BenchmarkFanOut(b *testing.B) {
	for _, c := range []struct {
		name  string
		armed int
	}{{"armed", 0}, {"cold", -1}} {
		b.Run(c.name, func(b *testing.B) {
			var wall, spread, cpu time.Duration
			n := 0
			for b.Loop() {
				f := newFan(b, c.armed)
				w, s, p := f.start(b)
				wall, spread, cpu = wall+w, spread+s, cpu+p
				n++
			}
			b.ReportMetric(float64(wall.Milliseconds())/float64(n), "start-last-ms")
			b.ReportMetric(float64(spread.Milliseconds())/float64(n), "first-last-ms")
			b.ReportMetric(float64(cpu.Microseconds())/float64(n)/float64(scaled(fanTargets)), "cpu-us/host")
		})
	}
}

// fan is a server with one open change of many targets.
type fan struct {
	farm   *sshtest.Farm
	client *client.Client
	names  []string
}

func newFan(b *testing.B, armed int) *fan {
	b.Helper()
	farm := sshtest.Start(b, scaled(fanTargets), fanRTT)
	f := &fan{farm: farm}
	dir := b.TempDir()
	sink := httptest.NewServer(nil)
	b.Cleanup(sink.Close)
	var inventory strings.Builder
	inventory.WriteString("targets:\n")
	for _, t := range farm.Targets {
		fmt.Fprintf(&inventory, "  - {name: %s, address: %q}\n", t.Name, t.Address)
		f.names = append(f.names, t.Name)
	}
	for name, text := range map[string]string{
		"inventory.yaml": inventory.String(), "ssh.key": farm.Key.Reveal(), "ann.token": benchToken + "3",
		"hook.secret": benchToken + "2", "backout.yaml": fmt.Sprintf(`listen: 127.0.0.1:0
data_dir: data
server_name: bench
auth:
  tokens: [{name: ann, token: {file: ann.token}}]
intake:
  tokens: [{name: alertmanager, token: {file: hook.secret}}]
inventory: [inventory.yaml]
channels:
  hook: {type: webhook, url: "%s", secret: {file: hook.secret}}
audiences:
  ops: [hook]
ssh: {user: %s, key: {file: ssh.key}, known_hosts: %s, armed: %d}
`, sink.URL, farm.User, farm.KnownHosts, armed),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	seedStore(b, filepath.Join(dir, "data"), func(s *store.Store) { f.seed(b, s) })
	f.serve(b, dir)
	for armed >= 0 && farm.Asked(b) < len(f.names) {
		<-time.After(20 * time.Millisecond)
	}
	return f
}

func (f *fan) seed(b *testing.B, s *store.Store) {
	b.Helper()
	at := time.Now().UTC().Add(-time.Minute)
	frozen := planhash.Freeze(backout.Plan{
		Name: "fan", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Verify: backout.Verify{Every: backout.Duration(time.Hour), HoldFor: backout.Duration(time.Minute)},
		Levels: []backout.Level{{
			Name: "L1", EscalateAfter: backout.Duration(time.Hour), Audience: []string{"ops"}, Approval: backout.Approval{Mode: backout.ApprovalNone},
			Steps: []backout.Step{{Name: "undo", Uses: "command", With: []byte(`{"argv":["true"]}`), OnOverdue: backout.OverdueStop}},
		}},
	})
	spec := backout.ChangeSpec{
		ID: "CHG1", Targets: f.names, Plan: "fan", Owner: "paul",
		Window: backout.Window{Opens: at, Closes: at.Add(48 * time.Hour), Watch: backout.Duration(time.Hour)},
	}
	record := backout.Record{Op: "seed", By: "bench", At: at, Events: []backout.Event{
		backout.Planned{Spec: spec, By: "paul"}, backout.GatePassed{PlanHash: frozen.Hash, Targets: f.names}, backout.WindowOpened{Frozen: frozen},
	}}
	if _, err := s.Changes.Append(b.Context(), "CHG1", 0, record); err != nil {
		b.Fatal(err)
	}
}

func (f *fan) serve(b *testing.B, dir string) {
	b.Helper()
	a, err := app.New(b.Context(), app.Options{Config: filepath.Join(dir, "backout.yaml"), Attempts: filepath.Join(dir, "attempts")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := a.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := a.Start(); err != nil {
		b.Fatal(err)
	}
	f.client, err = client.New(client.Options{Server: "http://" + a.Addr(), Token: backout.SecretValue(benchToken + "3")})
	if err != nil {
		b.Fatal(err)
	}
}

// start has the step run everywhere. It returns the time until it had begun on the
// last target, that between the first and the last, and the processor time.
func (f *fan) start(b *testing.B) (wall, spread, cpu time.Duration) {
	b.Helper()
	before, at := cpuTime(b), time.Now()
	if _, err := f.client.StartRollback(b.Context(), handlers.StartRequest{ChangeID: "CHG1", Targets: f.names, Reason: "bench"}); err != nil {
		b.Fatal(err)
	}
	first, last := f.farm.Started(b)
	wall, spread, cpu = last.Sub(at), last.Sub(first), cpuTime(b)-before
	f.farm.Finish(b)
	return wall, spread, cpu
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
