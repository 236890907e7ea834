package servicenow

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsmfake"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

var spec = backout.ChangeSpec{ID: number}

func TestTheRecordIsRead(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	got, err := n.Record(t.Context(), spec)
	want := backout.ITSMRecord{
		System: "ServiceNow", ID: number, Approved: true, Approval: "Approved", State: "Scheduled",
		Starts: time.Date(2026, 3, 14, 1, 0, 0, 0, time.UTC), Ends: time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC), Plan: "Call Ana.\r\nUndo by hand.",
	}
	if d := cmp.Diff(want, got); d != "" || err != nil || n.Readable() != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	for value, says := range map[string]string{"requested": "Requested", "rejected": "Rejected", "not requested": "Not Yet Requested", "": "", "Approved ": "Approved "} {
		s.Set(number, map[string]string{"approval": value})
		if got, err := n.Record(t.Context(), spec); got.Approved || got.Approval != says || err != nil {
			t.Errorf("approval %q: %+v, %v", value, got, err)
		}
	}
}

// TestAStateOfTheSitesOwn: what the numbers of states mean is each site's business;
// that a task is active is not.
func TestAStateOfTheSitesOwn(t *testing.T) {
	s, url := instance(t)
	c := basic(url)
	c.Approved, c.Columns = []string{"cab_ok"}, Columns{Approval: "u_cab", Start: "u_from", End: "u_to", Plan: "u_back"}
	n := newNotifier(t, c)
	if _, err := n.Record(t.Context(), spec); !backout.IsPermanent(err) || !strings.Contains(err.Error(), `no column "u_cab"`) {
		t.Errorf("a column that is not there: %v", err)
	}
	s.Set(number, map[string]string{"u_cab": "cab_ok", "u_from": "2026-03-14 01:00:00", "u_to": "2026-03-14 02:00:00", "u_back": "own", "state": "17", "active": "true"})
	if got, err := n.Record(t.Context(), spec); err != nil || !got.Approved || got.Ended || got.State != "17" || got.Plan != "own" {
		t.Errorf("%+v, %v", got, err)
	}
	s.Set(number, map[string]string{"active": "false"})
	if got, err := n.Record(t.Context(), spec); err != nil || !got.Ended {
		t.Errorf("not active: %+v, %v", got, err)
	}
	s.Set(number, map[string]string{"u_to": "14/03/2026"})
	if _, err := n.Record(t.Context(), spec); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "planned times") {
		t.Errorf("a time that is none: %v", err)
	}
}

func TestARecordThatIsNotThere(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	for _, id := range []string{"CHG404", "x^ORactive=true", "x y", "-x"} {
		before := len(s.Requests())
		c := backout.ChangeSpec{ID: number, Labels: map[string]string{backout.LabelRecord: id}}
		if _, err := n.Record(t.Context(), c); !errors.Is(err, backout.ErrNotFound) || !backout.IsPermanent(err) {
			t.Errorf("%q: %v", id, err)
		}
		if asked := len(s.Requests()) > before; asked != (id == "CHG404") {
			t.Errorf("%q: asked %v", id, asked)
		}
	}
}

func oauth(url string) Config {
	return Config{URL: url, Auth: notifier.Auth{
		TokenURL: url + "/oauth_token.do", ClientID: itsmfake.Client, ClientSecret: backout.SecretValue(notifiertest.SecretText),
	}}
}

func TestATokenIsFetchedOnceAndAnewWhenItCountsNoMore(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, oauth(url))
	send(t, n, message(backout.MomentRed))
	send(t, n, message(backout.MomentHeld))
	if got := s.Tokens(); got != 1 {
		t.Errorf("%d tokens for two notices", got)
	}
	s.Expire()
	send(t, n, message(backout.MomentResumed))
	if got := s.Tokens(); got != 2 {
		t.Errorf("%d tokens, one more was wanted", got)
	}
	s.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Path != "/oauth_token.do" && itsmfake.Status(401)(w, r)
	})
	before := len(s.Requests())
	_, err := n.Notify(t.Context(), message(backout.MomentPaused))
	if !backout.IsPermanent(err) || len(s.Requests())-before != 3 {
		t.Errorf("401 for ever: %v after %q", err, s.Requests()[before:])
	}
}

func TestNoTokenIsGiven(t *testing.T) {
	s, url := instance(t)
	c := oauth(url)
	c.ClientSecret = backout.SecretValue("wrong-" + notifiertest.SecretText)
	if _, err := newNotifier(t, c).Record(t.Context(), spec); !backout.IsPermanent(err) || strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("a wrong secret: %v", err)
	}
	for _, f := range []itsmfake.Fault{itsmfake.Status(503, "Retry-After", "7"), itsmfake.LoginPage} {
		s.Fail(f)
		if _, err := newNotifier(t, oauth(url)).Record(t.Context(), spec); err == nil || backout.IsPermanent(err) || strings.Contains(err.Error(), "DOCTYPE") {
			t.Errorf("no token now: %v", err)
		}
	}
}

func TestAnswersAreSorted(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	reached := make(chan struct{}, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{} }))
	t.Cleanup(elsewhere.Close)
	for _, c := range []struct {
		name      string
		fault     itsmfake.Fault
		permanent bool
		after     time.Duration
		says      string
	}{
		{"login page", itsmfake.LoginPage, false, 0, "page for people"},
		{"redirect", itsmfake.Status(302, "Location", elsewhere.URL), true, 0, "redirects are not followed"},
		{"401", itsmfake.Status(401), true, 0, "check the secrets"},
		{"403", itsmfake.Status(403), true, 0, "check the secrets"},
		{"404", itsmfake.Status(404), true, 0, "not found"},
		{"408", itsmfake.Status(408), false, 0, "408"},
		{"429", itsmfake.Status(429, "Retry-After", "9"), false, 9 * time.Second, "429"},
		{"500", itsmfake.Status(500), false, 0, "500"},
		{"503 for a year", itsmfake.Status(503, "Retry-After", "31536000"), false, notifier.MaxRetryAfter, "503"},
		{"other data", func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte(`{"result": "x"}`))
			return true
		}, false, 0, "page for people"},
		{"other JSON", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"result": "x"}`))
			return true
		}, false, 0, "not what the API answers"},
		{"id of another kind", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"result": [{"sys_id": {"value": "../../x"}}]}`))
			return true
		}, true, 0, "sys_id"},
	} {
		s.Fail(c.fault)
		_, err := n.Notify(t.Context(), message(backout.MomentHeld))
		if err == nil || backout.IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "you said") {
			t.Errorf("%s: %v, permanent %v", c.name, err, backout.IsPermanent(err))
		}
		var later interface{ RetryAfter() time.Duration }
		if errors.As(err, &later) != (c.after > 0) || later != nil && later.RetryAfter() != c.after {
			t.Errorf("%s: again after %v", c.name, later)
		}
	}
	if len(reached) > 0 {
		t.Error("a redirect was followed")
	}
}

func TestSectionsThatAreWrong(t *testing.T) {
	secret := backout.SecretValue("x")
	good := Config{URL: "https://x.service-now.com", Auth: notifier.Auth{Token: secret}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*Config)
		says  string
	}{
		"no address":         {func(c *Config) { c.URL = "" }, "url"},
		"user in it":         {func(c *Config) { c.URL = "https://a:b@x" }, "url"},
		"unencrypted":        {func(c *Config) { c.URL = "http://x.service-now.com" }, "unencrypted"},
		"nobody":             {func(c *Config) { c.Auth = notifier.Auth{} }, "who backout is"},
		"two ways":           {func(c *Config) { c.Username, c.Password = "a", secret }, "exclude each other"},
		"half a user":        {func(c *Config) { c.Auth = notifier.Auth{Username: "a"} }, "belong together"},
		"half a client":      {func(c *Config) { c.Auth = notifier.Auth{ClientID: "a"} }, "belong together"},
		"scopes of nobody":   {func(c *Config) { c.Scopes = []string{"a"} }, "scopes"},
		"token unencrypted":  {func(c *Config) { c.Auth = notifier.Auth{ClientID: "a", ClientSecret: secret, TokenURL: "http://x"} }, "token_url"},
		"record":             {func(c *Config) { c.Record = "a^b" }, "record"},
		"column":             {func(c *Config) { c.Columns.Plan = "a^b" }, "columns"},
		"approved empty":     {func(c *Config) { c.Approved = []string{""} }, "approved"},
		"our column":         {func(c *Config) { c.Incidents, c.IncidentColumns = true, map[string]string{"caused_by": "x"} }, "itself"},
		"no column":          {func(c *Config) { c.Incidents, c.IncidentColumns = true, map[string]string{"a b": "x"} }, "incident_columns"},
		"columns of nothing": {func(c *Config) { c.IncidentColumns = map[string]string{"u_x": "x"} }, "without incidents"},
	} {
		bad := good
		c.spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty := good
	empty.Token = backout.NewSecret(backout.SecretRef{Env: "NOTHING"})
	if _, err := New(empty); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "token is empty") {
		t.Errorf("an empty token: %v", err)
	}
}
