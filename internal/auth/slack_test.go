package auth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
)

func linkToken(t *testing.T, s *Service, team, user string) string {
	t.Helper()
	link, err := s.LinkSlack(t.Context(), team, user)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("token")
}

// TestLinkASlackAccount is the whole way: from the link, by way of a login, to the
// question, to somebody who acts in Slack.
func TestLinkASlackAccount(t *testing.T) {
	w := local(t)
	link, err := w.service.LinkSlack(t.Context(), "T1", "U1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.SlackActor(t.Context(), "T1", "U1"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("before: %v", err)
	}
	b := w.browser()
	b.get(link).want(http.StatusOK, "Local user")
	b.post("/login", url.Values{"form": {b.form()}, "next": {b.at.Query().Get("next")}, "name": {"glass"}, "password": {"break the glass"}}).want(http.StatusOK, "Only go on if you asked")
	token, form := b.at.Query().Get("token"), b.form()
	b.post("/account/slack", url.Values{"form": {form}, "token": {token}, "user": {"U2"}}).want(http.StatusForbidden, "another Slack account")
	b.post("/account/slack", url.Values{"form": {form}, "token": {token}, "user": {" u1 "}}).want(http.StatusOK, "linked")
	actor, err := w.service.SlackActor(t.Context(), "T1", "U1")
	if err != nil || actor.Name != "glass" || actor.Via != "slack" || !actor.LoginAt.IsZero() || len(actor.Grants) != 1 || actor.Session != "" {
		t.Errorf("%+v %v", actor, err)
	}
	b.post("/account/slack", url.Values{"form": {form}, "token": {token}, "user": {"U1"}}).want(http.StatusGone, "link is used")
	b.get(link).want(http.StatusGone, "link is used")
	if all := w.docs.all() + w.log.String(); strings.Contains(all, token) {
		t.Errorf("the link's token is kept or logged: %s", all)
	}
	b.get("/account").want(http.StatusOK, "U1")
	b.post("/account/unlink", url.Values{"form": {b.form()}, "team": {"T1"}, "user": {"U1"}}).want(http.StatusOK, "No Slack account")
	if _, err := w.service.SlackActor(t.Context(), "T1", "U1"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("after it was removed: %v", err)
	}
}

// TestLinksThatAreNotGood: used, replaced, too old, made up, for somebody else's account.
func TestLinksThatAreNotGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := virtual(t, testConfig(nil))
		begun(t, s, identity{Name: "glass", Local: true})
		begun(t, s, identity{Name: "root", Local: true})
		take := func(name, token, user string) error {
			_, err := s.confirmed(t.Context(), name, token, user)
			return err
		}
		old := linkToken(t, s, "T1", "U1")
		token := linkToken(t, s, "T1", "U1")
		if err := take("glass", old, "U1"); !errors.Is(err, errLink) {
			t.Errorf("replaced: %v", err)
		}
		for _, bad := range []string{"", "bol_", token + "0", newToken(linkPrefix, accountID("T1", "U1")), newToken(SessionPrefix, accountID("T1", "U1"))} {
			if err := take("glass", bad, "U1"); !errors.Is(err, errLink) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		time.Sleep(linkLife)
		if err := take("glass", token, "U1"); !errors.Is(err, errLink) {
			t.Errorf("too old: %v", err)
		}
		if err := take("glass", linkToken(t, s, "T1", "U1"), "U1"); err != nil {
			t.Fatal(err)
		}
		if err := take("root", linkToken(t, s, "T1", "U1"), "U1"); err == nil || !strings.Contains(err.Error(), "somebody else's") {
			t.Errorf("somebody else's account: %v", err)
		}
		if err := take("glass", linkToken(t, s, "T1", "U2"), "U2"); err == nil || !strings.Contains(err.Error(), "already: remove it") {
			t.Errorf("a second account of one team: %v", err)
		}
		if err := take("glass", linkToken(t, s, "T2", "U2"), "U2"); err != nil {
			t.Errorf("an account of another team: %v", err)
		}
		for _, id := range [][2]string{{"", "U1"}, {"T1", ""}, {"T1", "u1"}, {"T1", "U1/../x"}, {"T 1", "U1"}} {
			if _, err := s.LinkSlack(t.Context(), id[0], id[1]); !errors.Is(err, backout.ErrInvalid) {
				t.Errorf("%q: %v", id, err)
			}
		}
	})
}

// TestOneOfManyTakesALink: a link that two confirm at once is one person's.
func TestOneOfManyTakesALink(t *testing.T) {
	s := virtual(t, testConfig(nil))
	names := []string{"glass", "root"}
	for _, n := range names {
		begun(t, s, identity{Name: n, Local: true})
	}
	token := linkToken(t, s, "T1", "U1")
	var wait sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 20 {
		wait.Go(func() {
			if _, err := s.confirmed(t.Context(), names[i%2], token, "U1"); err == nil {
				mu.Lock()
				defer mu.Unlock()
				won++
			}
		})
	}
	wait.Wait()
	if won != 1 {
		t.Errorf("%d took the link", won)
	}
}

// TestANameThatIsGivenAnewInheritsNoSlackAccount: not even one that was linked while an
// admin let the name go.
func TestANameThatIsGivenAnewInheritsNoSlackAccount(t *testing.T) {
	provider := &Provider{Issuer: "https://id.example.org"}
	s := virtual(t, testConfig(provider))
	begun(t, s, identity{Name: "alice", Issuer: provider.Issuer, Subject: "1", Groups: []string{"sre"}})
	if err := s.shutOut(t.Context(), "alice", true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.takeLink(t.Context(), "alice", linkToken(t, s, "T1", "UA")); err != nil {
		t.Fatal(err)
	}
	begun(t, s, identity{Name: "alice", Issuer: provider.Issuer, Subject: "2", Groups: []string{"sre"}})
	if who, err := s.SlackActor(t.Context(), "T1", "UA"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("the old alice's Slack account acts as the new one: %+v %v", who, err)
	}
}

// TestSlackForgets: who has not signed in for long, was shut out, or is gone, does
// nothing in Slack.
func TestSlackForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &Provider{Issuer: "https://id.example.org"}
		config := testConfig(provider)
		s := virtual(t, config)
		alice := identity{Name: "alice", Issuer: provider.Issuer, Subject: "1", Groups: []string{"sre"}}
		begun(t, s, alice)
		begun(t, s, identity{Name: "glass", Local: true})
		if _, err := s.confirmed(t.Context(), "alice", linkToken(t, s, "T1", "UA"), "UA"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.confirmed(t.Context(), "glass", linkToken(t, s, "T1", "UG"), "UG"); err != nil {
			t.Fatal(err)
		}
		acts := func(user string) error {
			_, err := s.SlackActor(t.Context(), "T1", user)
			return err
		}
		if who, _, err := s.Person(t.Context(), "alice"); err != nil || len(who.Grants) != 1 {
			t.Errorf("%+v %v", who, err)
		}
		if _, _, err := s.Person(t.Context(), "nobody"); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("somebody who never was: %v", err)
		}
		time.Sleep(config.RememberGroups - time.Second)
		if err := acts("UA"); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if err := acts("UA"); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("long after the login: %v", err)
		}
		if _, _, err := s.Person(t.Context(), "alice"); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("what somebody left behind acts for ever: %v", err)
		}
		begun(t, s, alice)
		if err := acts("UA"); err != nil {
			t.Error(err)
		}
		for _, name := range []string{"alice", "glass"} {
			if err := s.shutOut(t.Context(), name, false); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(acts("UA")); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("shut out: %v", err)
		}
		if err := acts("UG"); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("a local user who is shut out: %v", err)
		}
		begun(t, s, identity{Name: "glass", Local: true})
		if err := acts("UG"); err != nil {
			t.Error(err)
		}
		config.Users = nil
		s.Set(config)
		if err := acts("UG"); !errors.Is(err, backout.ErrRefused) {
			t.Errorf("a local user who is gone: %v", err)
		}
		if err := acts("UX"); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("an unknown account: %v", err)
		}
	})
}
