package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// tokenBox is a service of tokens: everybody has these.
type tokenBox struct {
	handlers.Tokens
	list    []handlers.TokenStatus
	err     error
	asked   []string
	revoked []string
}

func (b *tokenBox) ListTokens(_ context.Context, by handlers.Actor, all bool) ([]handlers.TokenStatus, error) {
	b.asked = append(b.asked, fmt.Sprint(by.Name, " ", all))
	return slices.Clone(b.list), b.err
}

func (b *tokenBox) RevokeToken(_ context.Context, by handlers.Actor, id, reason string) (handlers.TokenStatus, error) {
	if b.err != nil {
		return handlers.TokenStatus{}, b.err
	}
	b.revoked = append(b.revoked, by.Name+" "+id+" "+reason)
	return handlers.TokenStatus{}, nil
}

// settingsOf is a site with a service of tokens.
func settingsOf(t *testing.T, f *fake, tokens handlers.Tokens) *site {
	t.Helper()
	s := siteOf(t, f)
	services := f.services()
	d := New(Options{Services: services, Tokens: tokens, People: true})
	t.Cleanup(d.Close)
	s.h = handlers.New(handlers.Options{
		Changes: services.Changes, Baselines: services.Baselines, Rollbacks: services.Rollbacks, Rules: services.Rules,
		Control: services.Control, Insight: services.Insight, Sessions: s, Pages: d.Pages(), ErrorPage: d.Error,
	})
	return s
}

// order fails unless the parts stand on the page one after the other.
func order(t *testing.T, page string, parts ...string) {
	t.Helper()
	rest := page
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%q is not behind the one before it, of %q:\n%s", part, parts, page)
			return
		}
		rest = after
	}
}

// TestSettingsSayWhatIsBrokenFirst: and what to do about it.
func TestSettingsSayWhatIsBrokenFirst(t *testing.T) {
	now := time.Now()
	f := &fake{
		notReady:   errors.New("the store takes no writes"),
		monitoring: handlers.MonitoringStatus{Watched: true, Blind: true, BlindSince: now.Add(-time.Hour)},
		paused:     handlers.PauseState{On: true, By: "oz", Reason: "storm", At: now.Add(-time.Minute)},
		runners: []handlers.RunnerStatus{
			{Name: "near-1", Site: "dc2", Alive: true, LastSeen: now, Running: 2, Slots: 16, Release: "1.2.3"},
			{Name: "near-2", Site: "dc2", LastSeen: now.Add(-10 * time.Minute), Slots: 16, Release: "1.2.2"},
		},
		targets: []backout.Target{{Name: "a", Transport: "ssh"}, {Name: "b", Transport: "ssh"}, {Name: "c", Transport: "local"}},
		undelivered: []handlers.NoticeStatus{
			{Channel: "mail", Notice: backout.Notice{Moment: "recovered", ChangeID: "CHG1", RollbackID: "CHG1-r1", At: now.Add(-2 * time.Hour)}, Tries: 3, At: now.Add(-time.Minute), Error: "connection refused"},
			{Channel: "slack", Notice: backout.Notice{Moment: "approval_needed", ChangeID: "CHG2", At: now.Add(-time.Hour)}, Tries: 1, GivenUp: true, Error: "invalid_auth"},
		},
	}
	page := settingsOf(t, f, &tokenBox{}).page("vic", "/settings")
	order(t, page, "4 things broken, 1 thing doubtful",
		"broken", "Alerts cannot come: the store takes no writes", "Blind", "Look at Prometheus", "1 given up, 1 late", "1 of 2 are not heard: near-2", "doubtful", "On, by oz: storm",
		"Notices that have not arrived", "given up", "approval needed", "/changes/CHG2", "invalid_auth", "recovered", "/rollbacks/CHG1-r1", "3 tries", "connection refused",
		"near-2", "near-1", "2 of 16", "3 targets in the inventory", "2 ssh, 1 local", "You are <strong>vic</strong>", "viewer everywhere", `href="/account"`, "You have none that works")
	if calls := f.heard("Examine"); calls != nil {
		t.Errorf("a look at the settings reaches other systems: %q", calls)
	}
	quiet := settingsOf(t, &fake{monitoring: handlers.MonitoringStatus{Watched: true, LastSeen: now}}, &tokenBox{}).page("vic", "/settings")
	wants(t, quiet, "Nothing is known to be wrong", "No notice is late", "reaches the targets itself", "no target that you may see")
	lacks(t, quiet, "Notices that have not arrived", "broken")
	wants(t, settingsOf(t, &fake{}, &tokenBox{}).page("vic", "/settings"), "Nothing would show that monitoring is down")
}

// TestExaminingIsForWhoMay: it reaches other systems, so not every viewer has it done;
// what was found is shown, the worst first.
func TestExaminingIsForWhoMay(t *testing.T) {
	f := &fake{health: []handlers.Health{
		{Kind: "store", State: handlers.HealthWell, Says: "takes writes"},
		{Kind: "clock", Name: "web-1", State: handlers.HealthDoubtful, Says: "41s behind", Do: "Look at its time service."},
		{Kind: "channel", Name: "slack", State: handlers.HealthBroken, Says: "invalid_auth", Do: "Make a new token."},
	}}
	s := settingsOf(t, f, &tokenBox{})
	for _, who := range []string{"vic", "adam", "wendy"} {
		lacks(t, s.page(who, "/settings"), "Examine")
		before := len(f.heard(""))
		if w := s.get(who, "/settings/examine"); w.Code != http.StatusForbidden {
			t.Errorf("%s has everything examined: %d", who, w.Code)
		}
		if calls := f.heard("")[before:]; len(calls) != 0 {
			t.Errorf("%s reached %q", who, calls)
		}
	}
	wants(t, s.page("oz", "/settings"), `action="/settings/examine"`, "Examine everything now")
	order(t, s.page("oz", "/settings/examine"), "1 thing broken, 1 thing doubtful", "Channel", "slack", "invalid_auth", "Make a new token.", "Clock", "41s behind", "Store", "takes writes", "Examine again")
	f.health = f.health[:1]
	wants(t, s.page("oz", "/settings/examine"), "Everything is well")
}

// TestExaminingMayBeSlow: it has as long as what reaches targets, and no more of it runs
// at once than of that.
func TestExaminingMayBeSlow(t *testing.T) {
	for _, p := range (&Dashboard{}).Pages() {
		if p.Slow != (p.Path == "/settings/examine") && strings.HasPrefix(p.Path, "/settings") {
			t.Errorf("%s %s: slow %v", p.Method, p.Path, p.Slow)
		}
	}
}

// TestWhatIsNotKnownOfTheSettings: a list that cannot be had does not take the page away.
func TestWhatIsNotKnownOfTheSettings(t *testing.T) {
	f := &fake{errs: map[string]error{"Notices": fmt.Errorf("read notices: %w", backout.ErrUnavailable)}}
	page := settingsOf(t, f, &tokenBox{err: errors.New("no answer")}).page("vic", "/settings")
	wants(t, page, "Not known: read notices", "Not known: no answer")
	lacks(t, page, "No notice is late", "You have none that works")
	wants(t, settingsOf(t, &fake{}, nil).page("vic", "/settings"), "this server makes none")
}

// TestManyNoticesAndTokensAreBounded: with a channel down for hours the page stays small,
// and says how many more there are.
func TestManyNoticesAndTokensAreBounded(t *testing.T) {
	f, box := &fake{}, &tokenBox{}
	for i := range 10000 {
		f.undelivered = append(f.undelivered, handlers.NoticeStatus{Channel: "mail", Notice: backout.Notice{RollbackID: fmt.Sprintf("CHG%d-r1", i), At: time.Now()}, Error: "connection refused"})
	}
	for i := range 120 {
		box.list = append(box.list, handlers.TokenStatus{ID: fmt.Sprintf("%016x", i), Note: "old", State: "expired"})
	}
	page := settingsOf(t, f, box).page("vic", "/settings")
	wants(t, page, "and 9950 more", "and 100 more")
	if len(page) > 100<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

// TestOwnTokens: people see their own tokens whatever they may do, never a secret, and end
// them from here; with a token they end no other.
func TestOwnTokens(t *testing.T) {
	const id, other = "0123456789abcdef", "fedcba9876543210"
	now := time.Now()
	box := &tokenBox{list: []handlers.TokenStatus{
		{ID: id, Note: "nightly", State: "active", Grants: []backout.Grant{{Role: backout.RoleAuthor, Labels: map[string]string{"env": "prod"}}}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)},
		{ID: other, Note: "laptop", State: "active", CreatedAt: now, ExpiresAt: now.Add(time.Hour), LastUsed: now.Add(-time.Hour)},
		{ID: "1111111111111111", Note: "lost", State: "revoked", CreatedAt: now, RevokedAt: now},
		{ID: "2222222222222222", Note: "before", State: "ended", CreatedAt: now, ExpiresAt: now.Add(time.Hour)},
	}}
	s := settingsOf(t, &fake{}, box)
	page := s.page("adam", "/settings")
	order(t, page, "nightly", id, "author where env=prod", "never used", "Revoke nightly", "laptop", "used last", "Ended of late", "lost", "revoked", "before", "of another account or password")
	lacks(t, page, "Revoke lost", "Revoke before")
	if !slices.Equal(box.asked, []string{"adam false"}) {
		t.Errorf("asked for the tokens of %q", box.asked)
	}
	w := s.post("adam", "/settings/tokens/revoke", "id", id, "reason", " not needed ")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/settings#tokens" || !slices.Equal(box.revoked, []string{"adam " + id + " not needed"}) {
		t.Errorf("%d to %q, revoked %q", w.Code, w.Header().Get("Location"), box.revoked)
	}
	s.join(handlers.Actor{Name: "robot", TokenID: other, Grants: []backout.Grant{{Role: backout.RoleViewer, Everywhere: true}}})
	page = s.page("robot", "/settings")
	wants(t, page, "Revoke laptop")
	lacks(t, page, "Revoke nightly")
}

// TestTokensThatCannotBeRevoked: a no stands on the page, and what is no id reaches nobody.
func TestTokensThatCannotBeRevoked(t *testing.T) {
	const id = "0123456789abcdef"
	box := &tokenBox{}
	s := settingsOf(t, &fake{}, box)
	for _, bad := range []string{"", "x", id + "0", "../control/pause0", strings.ToUpper(id)} {
		if w := s.post("vic", "/settings/tokens/revoke", "id", bad); w.Code != http.StatusBadRequest {
			t.Errorf("%q: %d", bad, w.Code)
		}
	}
	if w := s.post("vic", "/settings/tokens/revoke", "id", id, "all", "true"); w.Code != http.StatusBadRequest {
		t.Errorf("an unknown field: %d", w.Code)
	}
	foreign := request("vic", http.MethodPost, "/settings/tokens/revoke", map[string][]string{"id": {id}})
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	if w := s.do(foreign); w.Code != http.StatusForbidden {
		t.Errorf("from another site: %d", w.Code)
	}
	if w := settingsOf(t, &fake{}, nil).post("vic", "/settings/tokens/revoke", "id", id); w.Code != http.StatusNotFound {
		t.Errorf("where there are none: %d", w.Code)
	}
	if box.revoked != nil {
		t.Errorf("revoked %q", box.revoked)
	}
	box.err = fmt.Errorf("%w: a token ends no other", backout.ErrForbidden)
	if w := s.post("vic", "/settings/tokens/revoke", "id", id); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "a token ends no other") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	box.err = fmt.Errorf("token: %w", backout.ErrNotFound)
	if w := s.post("vic", "/settings/tokens/revoke", "id", id); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "There is no such thing") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
