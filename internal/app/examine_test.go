package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/remote"
)

// leaned is a server with what it leans on.
type leaned struct {
	*App
	dir string
	// asked counts what the other side of Prometheus was asked; status is what it
	// answers, off how far its clock is off.
	asked  atomic.Int64
	status atomic.Int64
	off    atomic.Int64
	// hook is what the channel's other side answers.
	hook atomic.Int64
}

const leanedSecret = "a-token-that-nobody-may-see"

const leanedConfig = `listen: 127.0.0.1:0
data_dir: data
server_name: one
prometheus: {url: "%[1]s/prom", token: {file: token}}
alertmanagers: [{url: "%[1]s/am"}]
channels:
  hook: {type: webhook, url: "%[1]s/hook", secret: {file: token}}
audiences: {ops: [hook]}
rules: [rules.yaml]
plans: []
inventory: []
`

func (l *leaned) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lean starts one; all is well.
func lean(t *testing.T, more string) *leaned {
	t.Helper()
	l := &leaned{dir: t.TempDir()}
	l.status.Store(http.StatusOK)
	l.hook.Store(http.StatusOK)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Duration(l.off.Load())).UTC().Format(http.TimeFormat))
		switch {
		case r.URL.Path == "/hook":
			w.WriteHeader(int(l.hook.Load()))
		case r.URL.Path == "/prom/api/v1/query":
			l.asked.Add(1)
			if r.Header.Get("Authorization") != "Bearer "+leanedSecret {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			w.WriteHeader(int(l.status.Load()))
		case r.URL.Path == "/am/api/v2/alerts":
			_, _ = w.Write([]byte("[]"))
		case r.URL.Path != "/am/api/v2/status" || r.Header.Get("Authorization") != "":
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(other.Close)
	l.write(t, "token", leanedSecret)
	l.write(t, "rules.yaml", "groups:\n  - name: g\n    rules:\n      - {rule: R, match: [alertname=\"A\"]}\n")
	l.write(t, "backout.yaml", fmt.Sprintf(leanedConfig, other.URL)+more)
	a, err := New(t.Context(), Options{Config: filepath.Join(l.dir, "backout.yaml"), Attempts: filepath.Join(l.dir, "attempts")})
	if err != nil {
		t.Fatal(err)
	}
	l.App = a
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// look examines, and writes each thing as kind, name and state; says has the words.
func (l *leaned) look(t *testing.T) (lines []string, says map[string]handlers.Health) {
	t.Helper()
	l.examiner.mu.Lock()
	l.examiner.at = time.Time{}
	l.examiner.mu.Unlock()
	found, err := insight{Engine: l.engine, app: l.App}.Examine(t.Context(), handlers.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	says = map[string]handlers.Health{}
	for _, h := range found {
		name, _, _ := strings.Cut(h.Name, " ") // what follows is an address
		line := strings.TrimSpace(h.Kind + " " + strings.TrimPrefix(name, l.dir+"/"))
		lines, says[line] = append(lines, line+": "+h.State), h
		if h.Says == "" || h.State != handlers.HealthWell && h.Do == "" || h.State == handlers.HealthWell && h.Do != "" || strings.Contains(fmt.Sprint(h), leanedSecret) {
			t.Errorf("%+v", h)
		}
	}
	return lines, says
}

func TestExamineAServer(t *testing.T) {
	l := lean(t, "")
	lines, says := l.look(t)
	want := []string{
		"config: well", "store: well", "monitoring: doubtful", "pause: well", "rule: well",
		"monitoring prometheus: well", "clock prometheus: well", "monitoring alertmanager: well", "clock alertmanager: well", "channel hook: well",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line, words := range map[string]string{
		"store": " of at most 64 GiB", "monitoring": "Nobody would notice", "channel hook": "No delivery by it is known",
	} {
		if !strings.Contains(says[line].Says, words) {
			t.Errorf("%s does not say %q: %+v", line, words, says[line])
		}
	}
	// And then everything goes wrong at once.
	l.write(t, "rules.yaml", "groups:\n  - name: g\n    rules:\n      - {rule: R, mach: [alertname=\"A\"]}\n")
	l.status.Store(http.StatusBadGateway)
	l.off.Store(int64(-time.Hour))
	l.hook.Store(http.StatusNotFound)
	if _, err := l.engine.Pause(t.Context(), handlers.Actor{Name: "bob"}, "a storm"); err != nil {
		t.Fatal(err)
	}
	l.lose(t)
	lines, says = l.look(t)
	want = []string{
		"config rules.yaml:4:16: doubtful", "config rules.yaml:4:19: broken", "store: well", "monitoring: doubtful", "pause: doubtful", "rule: well",
		"monitoring prometheus: broken", "clock prometheus: doubtful", "monitoring alertmanager: well", "clock alertmanager: doubtful",
		"channel hook: doubtful", "channel hook: broken",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("when everything goes wrong (-want +got):\n%s", diff)
	}
	for line, words := range map[string]string{
		"config rules.yaml:4:19": "mach", "pause": "by bob", "monitoring prometheus": "status 502", "clock prometheus": "s ahead of it", "channel hook": "404",
	} {
		if !strings.Contains(says[line].Says, words) {
			t.Errorf("%s does not say %q: %+v", line, words, says[line])
		}
	}
}

// lose has a notice given up.
func (l *leaned) lose(t *testing.T) {
	t.Helper()
	n := backout.Notice{ID: "n1", Moment: backout.MomentRed, Audience: "ops", At: time.Now()}
	if err := l.outbox.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	limit, tick := time.NewTimer(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		list, err := l.outbox.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list.GivenUp) == 1 {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%+v", list)
		}
	}
}

// TestExamineSaysWhoseMailDoesNotArrive while the others have it.
func TestExamineSaysWhoseMailDoesNotArrive(t *testing.T) {
	l := lean(t, "")
	why := &backout.PartlyError{Err: backout.Permanent(errors.New("recipient left@example.com: 550"))}
	if err := l.store.Outbox.Tried(t.Context(), "hook", time.Now(), why); err != nil {
		t.Fatal(err)
	}
	_, says := l.look(t)
	if h := says["channel hook"]; h.State != handlers.HealthDoubtful || !strings.Contains(h.Says, "not everybody has it: recipient left@example.com: 550.") {
		t.Errorf("%+v", h)
	}
	if err := l.store.Outbox.Tried(t.Context(), "hook", time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	if _, says = l.look(t); says["channel hook"].State != handlers.HealthWell {
		t.Errorf("%+v", says["channel hook"])
	}
}

// TestExamineFindsWhatAReloadWouldRefuse, which a start would not.
func TestExamineFindsWhatAReloadWouldRefuse(t *testing.T) {
	l := lean(t, "")
	text, err := os.ReadFile(filepath.Join(l.dir, "backout.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "backout.yaml", strings.Replace(string(text), "server_name: one", "server_name: two", 1))
	lines, says := l.look(t)
	if lines[0] != "config backout.yaml: doubtful" || !strings.Contains(says["config backout.yaml"].Do, "restart") {
		t.Errorf("%s: %+v", lines[0], says["config backout.yaml"])
	}
}

// TestExamineAfterAReload asks what the new files name.
func TestExamineAfterAReload(t *testing.T) {
	l := lean(t, "")
	text, err := os.ReadFile(filepath.Join(l.dir, "backout.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "backout.yaml", strings.NewReplacer("hook: {", "chat: {", "[hook]", "[chat]").Replace(string(text)))
	if err := l.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines, _ := l.look(t); lines[len(lines)-1] != "channel chat: well" {
		t.Errorf("%q", lines)
	}
}

// TestExamineMonitoring tells when the watchdog came.
func TestExamineMonitoring(t *testing.T) {
	l := lean(t, "monitoring: {watchdog: ['alertname=\"Watchdog\"'], missing_after: 10m, audience: [ops]}\n")
	if _, says := l.look(t); says["monitoring"].State != handlers.HealthDoubtful || !strings.Contains(says["monitoring"].Says, "has not come yet") {
		t.Errorf("%+v", says["monitoring"])
	}
	a := backout.Alert{Fingerprint: "w", Firing: true, Labels: map[string]string{"alertname": "Watchdog"}, StartsAt: time.Unix(0, 0)}
	if err := l.engine.Accept(t.Context(), handlers.Delivery{Kind: "webhook", Body: []byte("{}"), Alerts: []backout.Alert{a}}); err != nil {
		t.Fatal(err)
	}
	if _, says := l.look(t); says["monitoring"].State != handlers.HealthWell || !strings.Contains(says["monitoring"].Says, "seen last 0s ago") && !strings.Contains(says["monitoring"].Says, "seen last 1s ago") {
		t.Errorf("%+v", says["monitoring"])
	}
}

// speaking is a channel whose other side has something to say.
type speaking struct {
	backout.Notifier
	says backout.Problems
}

func (s speaking) Examine(context.Context) backout.Problems { return s.says }

// TestExamineChannels asks them, and hides what they say of secrets.
func TestExamineChannels(t *testing.T) {
	l := lean(t, "")
	running := *l.running.Load()
	running.channels = map[string]outbox.Channel{
		"hook": {Notifier: speaking{says: backout.Problems{{What: "it does not take " + leanedSecret, Fix: "make another"}, {What: "its clock is off", Fix: "set it", Warning: true}}}},
		"well": {Notifier: speaking{}},
	}
	l.running.Store(&running)
	lines, says := l.look(t)
	if diff := cmp.Diff([]string{"channel hook: broken", "channel hook: doubtful"}, lines[len(lines)-2:]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := says["channel hook"]; got.Says != "its clock is off." || got.Do != "set it." {
		t.Errorf("%+v", got)
	}
}

// TestAnExaminationIsShared by all who ask at once, and soon after.
func TestAnExaminationIsShared(t *testing.T) {
	l := lean(t, "")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if found, err := l.examiner.examine(t.Context()); err != nil || len(found) == 0 {
				t.Errorf("%d found, %v", len(found), err)
			}
		})
	}
	all.Wait()
	if n := l.asked.Load(); n != 1 {
		t.Errorf("Prometheus was asked %d times, want once", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.examiner.examine(ctx); err != nil {
		t.Errorf("what is known is not told: %v", err)
	}
}

// TestAnExaminationEnds although somebody does not answer, and although something is
// broken; who has gone does not wait.
func TestAnExaminationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{}
		x := a.newExaminer()
		free := make(chan struct{})
		began := time.Now()
		found := x.all([]part{
			{kind: "channel", name: "deaf", ask: func(context.Context) []handlers.Health { <-free; return nil }},
			{kind: "channel", name: "slow", ask: func(ctx context.Context) []handlers.Health {
				<-ctx.Done()
				return []handlers.Health{{Kind: "channel", Name: "slow", State: "as it says"}}
			}},
			{kind: "channel", name: "mad", ask: func(context.Context) []handlers.Health { panic("a secret") }},
			{kind: "pause", ask: func(context.Context) []handlers.Health {
				return []handlers.Health{{Kind: "pause", State: "as it says"}}
			}},
		})
		var got []string
		for _, h := range found {
			got = append(got, h.Kind+" "+h.Name+" "+h.State)
			if strings.Contains(h.Says, "secret") {
				t.Errorf("%+v", h)
			}
		}
		want := []string{"channel deaf doubtful", "channel slow as it says", "channel mad broken", "pause  as it says"}
		if diff := cmp.Diff(want, got); diff != "" || time.Since(began) != examineFor {
			t.Errorf("after %s (-want +got):\n%s", time.Since(began), diff)
		}
		close(free)
		x.running = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := x.examine(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("who has gone: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := x.examine(t.Context()); !errors.Is(err, backout.ErrUnavailable) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestSkew counts what the way to the other clock can not explain.
func TestSkew(t *testing.T) {
	p := part{kind: "clock"}
	now := time.Now()
	for _, test := range []struct {
		theirs time.Duration
		want   string
	}{
		{0, ""}, {time.Second, ""}, {-9 * time.Second, ""}, {11 * time.Second, ""}, {13 * time.Second, "11s behind"}, {-11 * time.Second, "11s ahead of"},
	} {
		h := p.skew(now.Add(test.theirs), now, now.Add(2*time.Second))
		if (h.State == handlers.HealthWell) != (test.want == "") || !strings.Contains(h.Says, test.want) {
			t.Errorf("%s: %+v", test.theirs, h)
		}
	}
}

// TestManyProblemsAreCounted, not all told.
func TestManyProblemsAreCounted(t *testing.T) {
	l := lean(t, "")
	l.write(t, "backout.yaml", "listen: 127.0.0.1:0\n"+strings.Repeat("x", 3)+": 1\n"+func() (text string) {
		for i := range 30 {
			text += fmt.Sprintf("unknown%d: 1\n", i)
		}
		return text
	}())
	lines, _ := l.look(t)
	n := len(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.HasPrefix(line, "config") }))
	if n != examineMost+1 {
		t.Errorf("%d lines of the config, want %d", n, examineMost+1)
	}
}

// TestExamineRunners by site: one without any is broken, one that is gone is doubtful.
func TestExamineRunners(t *testing.T) {
	now := time.Now()
	known := []remote.Info{
		{Name: "r2", Site: "dc1", LastSeen: now.Add(-time.Minute)},
		{Name: "r1", Site: "dc1", LastSeen: now, Alive: true, Running: 3, Slots: 8},
		{Name: "r1", Site: "dc2", LastSeen: now.Add(-time.Minute)},
		{Name: "r1", Site: "not in the config", LastSeen: now, Alive: true},
	}
	var got []string
	for _, h := range (part{kind: "runner"}).runners([]string{"dc1", "dc2", "dc3"}, known) {
		got = append(got, h.Kind+" "+h.Name+" "+h.State)
	}
	want := []string{"runner dc1/r1 well", "runner dc1/r2 doubtful", "runner dc2 broken", "runner dc2/r1 doubtful", "runner dc3 broken"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
