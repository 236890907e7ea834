package slackedge_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/slackedge"
	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/notifier/slack"
)

// signedWorld is a world where Slack posts what people do.
func signedWorld(t *testing.T) (w *world, address string) {
	w = newWorld(t, slackfake.Options{}, func(c *slack.Config) {
		c.AppToken, c.SigningSecret = backout.Secret{}, backout.SecretValue(secret)
	})
	mux := http.NewServeMux()
	mux.Handle(slackedge.Path, w.edge)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.slack.SetRequestURL(server.URL + slackedge.Path)
	return w, server.URL + slackedge.Path
}

func TestSignedRequestsDecide(t *testing.T) {
	w, _ := signedWorld(t)
	w.open("r1", votesOf(1), votesOf(1))
	m := w.card("r1", slack.ActionDeny)
	w.click("Uana", m, slack.ActionDeny)
	if _, err := w.slack.Submit(t.Context(), w.slack.Open("Uana")[0], map[string]string{"reason": "no"}); err != nil {
		t.Fatal(err)
	}
	if w.rollbacks.votes("r1") != 1 || w.state("r1").Status != backout.RollbackHeld {
		t.Errorf("it is %s", w.state("r1").Status)
	}
}

func TestRequestsThatAreNotSlacksAreRefused(t *testing.T) {
	w, address := signedWorld(t)
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	// What a person of another kind of button has sent, to be sent otherwise.
	w.slack.SetRequestURL("http://127.0.0.1:1/")
	payload, err := w.slack.Click(t.Context(), "Uana", channel, m.TS, slack.ActionApprove)
	if err == nil {
		t.Fatal("the click has arrived")
	}
	body := url.Values{"payload": {string(payload)}}.Encode()
	now := time.Now()
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
		why    string
	}{
		{"unsigned", func(r *http.Request) { r.Header.Del("X-Slack-Signature") }, 401, "forged"},
		{"forged", func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v0="+strings.Repeat("00", 32)) }, 401, "forged"},
		{"another body", func(r *http.Request) { at(w, r, body, now); setBody(r, body+"&x=1") }, 401, "forged"},
		{"old", func(r *http.Request) { at(w, r, body, now.Add(-6*time.Minute)) }, 401, "expired"},
		{"from the future", func(r *http.Request) { at(w, r, body, now.Add(6*time.Minute)) }, 401, "expired"},
		{"another time than signed", func(r *http.Request) { r.Header.Set("X-Slack-Request-Timestamp", "1") }, 401, "expired"},
		{"payload in the query", func(r *http.Request) { at(w, r, "", now); r.URL.RawQuery = body }, 400, "forged"},
		{"payload in the query too", func(r *http.Request) { r.URL.RawQuery = body }, 400, "forged"},
		{"two payloads", func(r *http.Request) { at(w, r, body+"&"+body, now) }, 400, "invalid"},
		{"no payload", func(r *http.Request) { at(w, r, "a=b", now) }, 400, "invalid"},
		{"no JSON", func(r *http.Request) { at(w, r, "payload=x", now) }, 400, "invalid"},
		{"JSON body", func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 415, "invalid"},
		{"another method", func(r *http.Request) { r.Method = http.MethodPut }, 405, "invalid"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		at(w, req, body, now)
		c.change(req)
		if got := status(t, req); got != c.status {
			t.Errorf("%s: %d, want %d", c.name, got, c.status)
		}
		if whys := w.refusals.whys(); len(whys) == 0 || whys[len(whys)-1] != c.why {
			t.Errorf("%s: recorded as %v, want %s", c.name, whys, c.why)
		}
	}
	if w.rollbacks.votes("r1") != 0 {
		t.Fatal("one of them counted")
	}
	good := func() *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		at(w, req, body, now)
		return req
	}
	if got := status(t, good()); got != 200 || w.rollbacks.votes("r1") != 1 {
		t.Errorf("the real one: %d, %d votes", got, w.rollbacks.votes("r1"))
	}
	if got := status(t, good()); got != 409 || w.rollbacks.votes("r1") != 1 {
		t.Errorf("the real one again: %d, %d votes", got, w.rollbacks.votes("r1"))
	}
}

// at signs a request as Slack would at a time.
func at(w *world, r *http.Request, body string, when time.Time) { w.slack.Sign(r, body, when) }

func setBody(r *http.Request, body string) {
	signature, stamp := r.Header.Get("X-Slack-Signature"), r.Header.Get("X-Slack-Request-Timestamp")
	slackfake.New(slackfake.Options{}).Sign(r, body, time.Now())
	r.Header.Set("X-Slack-Signature", signature)
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
}

func status(t *testing.T, r *http.Request) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestExpiredClickIsRefused(t *testing.T) {
	w, address := signedWorld(t)
	w.open("r1", votesOf(1))
	m := w.card("r1", slack.ActionApprove)
	w.slack.SetRequestURL("http://127.0.0.1:1/")
	payload, _ := w.slack.Click(t.Context(), "Uana", channel, m.TS, slack.ActionApprove)
	six := strconv.FormatInt(time.Now().Add(-6*time.Minute).Unix(), 10)
	old := regexp.MustCompile(`"action_ts":"\d+`).ReplaceAllString(string(payload), `"action_ts":"`+six)
	w.slack.SetRequestURL(address)
	if _, err := w.slack.Deliver(t.Context(), "e", []byte(old)); err != nil {
		t.Fatal(err)
	}
	w.whispered("Uana", "too old")
	if w.rollbacks.votes("r1") != 0 {
		t.Error("it counted")
	}
}
