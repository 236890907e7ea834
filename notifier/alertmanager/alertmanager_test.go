package alertmanager

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

// cluster plays an Alertmanager: it keeps alerts by their labels, and reads filters
// with Alertmanager's own parser.
type cluster struct {
	*notifiertest.HTTP
	t *testing.T

	// deaf is set when filters are not understood: everything is answered.
	deaf bool

	mu     sync.Mutex
	alerts []alert
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t}
	c.HTTP = notifiertest.NewHTTP(t, c.take)
	return c
}

func (c *cluster) take(w http.ResponseWriter, r *http.Request, body []byte) (notifiertest.Delivery, bool) {
	if r.URL.Path != "/api/v2/alerts" || r.Header.Get("Authorization") != "Bearer "+notifiertest.SecretText {
		c.t.Errorf("%s by %q", r.URL.Path, r.Header.Get("Authorization"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodGet {
		_ = json.NewEncoder(w).Encode(c.firing(r.URL.Query()["filter"]...))
		return notifiertest.Delivery{}, false
	}
	var posted []alert
	if err := json.Unmarshal(body, &posted); err != nil || len(posted) == 0 {
		c.t.Errorf("posted %d alerts: %v", len(posted), err)
		return notifiertest.Delivery{}, false
	}
	var d notifiertest.Delivery
	for _, a := range posted {
		if a.Labels["alertname"] == "" || a.StartsAt.IsZero() || a.EndsAt.Before(a.StartsAt) {
			c.t.Errorf("Alertmanager would refuse %+v", a)
		}
		i := slices.IndexFunc(c.alerts, func(b alert) bool { return maps.Equal(a.Labels, b.Labels) })
		if i < 0 {
			c.alerts = append(c.alerts, a)
		} else {
			c.alerts[i] = a
		}
		d = notifiertest.Delivery{ID: a.Annotations["notice_id"], Key: a.Labels["rollback"], Subject: a.Annotations["summary"], Text: a.Annotations["description"]}
		if a.GeneratorURL != "" {
			d.Shape = append(d.Shape, "link "+a.GeneratorURL)
		}
		for name := range a.Labels {
			d.Shape = append(d.Shape, "label "+name)
		}
		for name := range a.Annotations {
			d.Shape = append(d.Shape, "annotation "+name)
		}
	}
	for _, a := range c.firing() {
		d.Open = d.Open || a.Labels["rollback"] == d.Key
	}
	return d, true
}

func (c *cluster) firing(filters ...string) []alert {
	var matchers []*labels.Matcher
	if c.deaf {
		filters = nil
	}
	for _, f := range filters {
		m, err := labels.ParseMatcher(f)
		if err != nil {
			c.t.Errorf("filter %q: %v", f, err)
			continue
		}
		matchers = append(matchers, m)
	}
	firing := []alert{}
	for _, a := range c.alerts {
		if a.EndsAt.After(time.Now()) && !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(a.Labels[m.Name]) }) {
			firing = append(firing, a)
		}
	}
	return firing
}

// names lists what fires.
func (c *cluster) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, a := range c.firing() {
		names = append(names, a.Labels["alertname"]+a.Labels["level"])
	}
	slices.Sort(names)
	return names
}

func config(urls ...string) Config {
	return Config{URLs: urls, Token: backout.SecretValue(notifiertest.SecretText)}
}

func newNotifier(t *testing.T, c Config) *Notifier {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifiertest.Run(t, notifiertest.Subject{
		Kind: Kind(), NoThreads: true, Keeps: true,
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			c := newCluster(t)
			return newNotifier(t, config(c.URL)), c
		},
	})
}

func notice(moment backout.Moment, level int) backout.Notice {
	n := notifier.Samples(moment)[level-1]
	n.ID += string(moment)
	return n
}

func tell(t *testing.T, n *Notifier, notice backout.Notice) {
	t.Helper()
	m, _ := notifier.Default().Render(Kind().Style(), notice, nil)
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// TestOneAlertOfARollbackFires: the one of its last moment, so that Alertmanager
// tells of each; none when it is over. What is about something else stays, also when
// the answer holds more than was asked for.
func TestOneAlertOfARollbackFires(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprint("deaf ", deaf), func(t *testing.T) { oneAlertFires(t, deaf) })
	}
}

func oneAlertFires(t *testing.T, deaf bool) {
	c := newCluster(t)
	c.deaf = deaf
	n := newNotifier(t, config(c.URL))
	other := notice(backout.MomentRed, 1)
	other.RollbackID = `CHG0030001-r2"} or {x="`
	tell(t, n, other)
	c.mu.Lock()
	// Prometheus' own alert about the server, and somebody else's with our labels.
	for _, name := range []string{"BackoutRollbackHeld", "Somebody"} {
		c.alerts = append(c.alerts, alert{Labels: map[string]string{"alertname": name}, EndsAt: time.Now().Add(time.Hour)})
	}
	c.alerts[2].Labels["rollback"], c.alerts[2].Labels["change"], c.alerts[2].Labels["moment"] = "CHG0030001-r1", "CHG0030001", "red"
	c.mu.Unlock()
	for _, step := range []struct {
		moment backout.Moment
		level  int
		want   []string
	}{
		{backout.MomentRed, 1, []string{"BackoutRollbackRedL1"}},
		{backout.MomentLevelStarted, 1, []string{"BackoutRollbackLevelStartedL1"}},
		{backout.MomentReopened, 1, []string{"BackoutRollbackLevelStartedL1", "BackoutRollbackReopenedL1"}},
		{backout.MomentEscalated, 2, []string{"BackoutRollbackEscalatedL2", "BackoutRollbackReopenedL1"}},
		{backout.MomentLevelStarted, 2, []string{"BackoutRollbackLevelStartedL2", "BackoutRollbackReopenedL1"}},
		{backout.MomentRecovered, 2, []string{"BackoutRollbackReopenedL1"}},
		{backout.MomentDrift, 2, []string{"BackoutRollbackDriftL2", "BackoutRollbackReopenedL1"}},
	} {
		tell(t, n, notice(step.moment, step.level))
		want := append([]string{"BackoutRollbackHeld", "BackoutRollbackRedL1", "Somebody"}, step.want...)
		slices.Sort(want)
		if d := cmp.Diff(want, c.names()); d != "" {
			t.Fatalf("after %s (-want +got):\n%s", step.moment, d)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.alerts {
		if a.Labels["alertname"] == "BackoutRollbackLevelStarted" && a.Labels["level"] == "L2" && !strings.Contains(a.Annotations["summary"], "RECOVERED") {
			t.Errorf("when it resolves it says %q", a.Annotations["summary"])
		}
	}
}

// TestChangeAndMonitoringHaveTheirOwn: what is told of a change ends when the change
// moves on, and leaves its rollbacks alone.
func TestChangeAndMonitoringHaveTheirOwn(t *testing.T) {
	c := newCluster(t)
	n := newNotifier(t, config(c.URL))
	tell(t, n, notice(backout.MomentRed, 1))
	for _, step := range []struct {
		moment backout.Moment
		want   []string
	}{
		{backout.MomentGateRefused, []string{"BackoutGateRefused"}},
		{backout.MomentWindowOpened, []string{"BackoutWindowOpened"}},
		{backout.MomentNotReady, []string{"BackoutNotReady", "BackoutWindowOpened"}},
		{backout.MomentReadyAgain, []string{"BackoutWindowOpened"}},
		{backout.MomentMonitoringBlind, []string{"BackoutMonitoringBlind", "BackoutWindowOpened"}},
		{backout.MomentMonitoringBack, []string{"BackoutWindowOpened"}},
		{backout.MomentWindowClosed, nil},
	} {
		about := notice(step.moment, 1)
		about.RollbackID, about.Level = "", ""
		tell(t, n, about)
		want := append([]string{"BackoutRollbackRedL1"}, step.want...)
		slices.Sort(want)
		if d := cmp.Diff(want, c.names()); d != "" {
			t.Fatalf("after %s (-want +got):\n%s", step.moment, d)
		}
	}
}

// TestEveryAlertIsKnownAsOurs: what does not begin so would count as evidence when
// it comes back.
func TestEveryAlertIsKnownAsOurs(t *testing.T) {
	for _, moment := range append(backout.Moments(), "other", "") {
		for _, rollback := range []string{"", "r"} {
			a := backout.Alert{Labels: map[string]string{"alertname": name(backout.Notice{Moment: moment, RollbackID: rollback})}}
			if !a.Own() {
				t.Errorf("%s: %s", moment, a.Name())
			}
		}
	}
}

func TestAlertCarriesWhatRoutesNeed(t *testing.T) {
	c := config("http://127.0.0.1")
	c.Labels, c.ChangeLabels, c.Keep = map[string]string{"cluster": "eu"}, []string{"team", "absent"}, backout.Duration(time.Hour)
	n := notice(backout.MomentApproval, 1)
	now := n.At.Add(time.Minute)
	a := c.compose(backout.Message{Notice: n, Subject: "S", Text: "T"}, now)
	want := alert{
		Labels: map[string]string{
			"alertname": "BackoutRollbackApprovalNeeded", "moment": "approval_needed", "severity": "error", "change": "CHG0030001", "rollback": "CHG0030001-r1", "level": "L1",
			"cluster": "eu", "team": "web",
		},
		Annotations: map[string]string{
			"notice_id": n.ID, "summary": "S", "description": "T", "if_nobody_acts": "L2 starts", "deadline": "2026-03-14T02:33:00Z", "targets": "web-01, web-02, web-03",
		},
		StartsAt: n.At, EndsAt: n.Deadline.Add(time.Hour), GeneratorURL: n.URL,
	}
	if d := cmp.Diff(want, a); d != "" {
		t.Errorf("alert (-want +got):\n%s", d)
	}
}

// TestOneOfAClusterIsEnough: and when none takes it, one that may take it later is
// worth another try.
func TestOneOfAClusterIsEnough(t *testing.T) {
	up, refuses, fails := newCluster(t), newCluster(t), newCluster(t)
	refuses.Set(notifiertest.Refuse)
	fails.Set(notifiertest.Fail)
	m, _ := notifier.Default().Render(Kind().Style(), notice(backout.MomentHeld, 1), nil)
	if _, err := newNotifier(t, config(refuses.URL, fails.URL, up.URL)).Notify(t.Context(), m); err != nil || len(up.names()) != 1 {
		t.Errorf("%v, firing %v", err, up.names())
	}
	if _, err := newNotifier(t, config(refuses.URL, fails.URL)).Notify(t.Context(), m); err == nil || backout.IsPermanent(err) {
		t.Errorf("one may take it later: %v", err)
	}
	if _, err := newNotifier(t, config(refuses.URL)).Notify(t.Context(), m); !backout.IsPermanent(err) {
		t.Errorf("none will take it: %v", err)
	}
}

func TestAnswerThatIsNoListOfAlerts(t *testing.T) {
	c := newCluster(t)
	c.Say(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>" + notifiertest.SecretText))
	})
	m, _ := notifier.Default().Render(Kind().Style(), notice(backout.MomentHeld, 1), nil)
	if _, err := newNotifier(t, config(c.URL)).Notify(t.Context(), m); err == nil || !strings.Contains(err.Error(), "is it an Alertmanager?") || strings.Contains(err.Error(), "html") {
		t.Errorf("error %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	s := backout.SecretValue("hunter2")
	for _, c := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"nobody", func(c *Config) { c.URLs = nil }, "tell nobody"},
		{"no scheme", func(c *Config) { c.URLs = []string{"alertmanager:9093"} }, "urls[0]"},
		{"user in it", func(c *Config) { c.URLs = []string{"https://am", "https://u:hunter2@am"} }, "urls[1]"},
		{"token in clear", func(c *Config) { c.URLs, c.Token = []string{"http://am.example:9093"}, s }, "unencrypted"},
		{"password alone", func(c *Config) { c.Password = s }, "go together"},
		{"two ways", func(c *Config) { c.Token, c.Username, c.Password = s, "u", s }, "one of them"},
		{"empty token", func(c *Config) { c.Token = backout.NewSecret(backout.SecretRef{Env: "E"}) }, "is empty"},
		{"keep", func(c *Config) { c.Keep = -1 }, "keep"},
		{"own label", func(c *Config) { c.Labels = map[string]string{"severity": "x"} }, "set by backout"},
		{"bad label", func(c *Config) { c.Labels = map[string]string{"a-b": "x"} }, "cannot name a label"},
		{"empty label", func(c *Config) { c.Labels = map[string]string{"a": " "} }, "a is empty"},
		{"own change label", func(c *Config) { c.ChangeLabels = []string{"alertname"} }, "set by backout"},
		{"twice", func(c *Config) { c.Labels, c.ChangeLabels = map[string]string{"a": "x"}, []string{"a"} }, "keep one"},
		{"no such file", func(c *Config) { c.CAFile = "/does/not/exist" }, "ca_file"},
	} {
		config := Config{URLs: []string{"https://am.example"}}
		c.change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
}
