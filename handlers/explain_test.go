package handlers

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestFewExplanationsAreMadeAtOnce: explaining is work, and rollbacks come first.
func TestFewExplanationsAreMadeAtOnce(t *testing.T) {
	f := &blockingRules{begun: make(chan struct{}), end: make(chan struct{})}
	h := handlerFor(t, &fake{}, func(o *Options) { o.Rules = f })
	ask := func() *httptest.ResponseRecorder {
		return do(h, request("POST", "/api/v1/rules/explain", `{"fingerprint":"a"}`))
	}
	var all sync.WaitGroup
	for range maxExplains {
		all.Go(func() { ask() })
		<-f.begun
	}
	wantError(t, ask(), 503, "overloaded", "")
	close(f.end)
	all.Wait()
	if w := ask(); w.Code != 200 {
		t.Errorf("after them: %d", w.Code)
	}
}

// blockingRules explains until it may end.
type blockingRules struct {
	Rules
	begun, end chan struct{}
}

func (f *blockingRules) Explain(context.Context, ExplainRequest) (Explained, error) {
	select {
	case <-f.end:
	case f.begun <- struct{}{}:
		<-f.end
	}
	return Explained{}, nil
}

// explains always says the same.
type explains struct{ Rules }

func (explains) Explain(context.Context, ExplainRequest) (Explained, error) {
	return Explained{Rules: []ExplainedRule{{Rule: "r", Why: "x"}}}, nil
}

func TestExplainRouteIsStrict(t *testing.T) {
	h := handlerFor(t, &fake{}, func(o *Options) { o.Rules = explains{} })
	for body, part := range map[string]string{
		`{}`:                             "want either alert or fingerprint",
		`{"fingerprint":"a","alert":{}}`: "want either alert or fingerprint",
		`{"fingerprint":"a","change_ids":["a/b"]}`: "is not the id of a change",
		`{"fingerprint":"a","change":"x"}`:         "change",
	} {
		wantError(t, do(h, request("POST", "/api/v1/rules/explain", body)), 400, "invalid", part)
	}
	if w := do(h, request("POST", "/api/v1/rules/explain", `{"fingerprint":"a"}`)); w.Code != 200 || !strings.Contains(w.Body.String(), `"why":"x"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
