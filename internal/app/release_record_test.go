package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/client"
)

// record plays a small history on a server and keeps what it stored.
func record(t *testing.T, to string) {
	t.Helper()
	dir := t.TempDir()
	t.Run("history", func(t *testing.T) { past{t, serveRelease(t, dir)}.play() })
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	keepForEver(t, data)
	pack(t, data, filepath.Join(to, "data.tar.gz"))
	text, err := json.MarshalIndent(stored(t, data), "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "states.json"), append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// keepForEver lets nothing of the data expire: it is read for years.
func keepForEver(t *testing.T, data string) {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: data})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"BACKOUT_ALERTS", "BACKOUT_NOTICES", "KV_BACKOUT_RECEIPTS"} {
		stream, e := b.JetStream().Stream(t.Context(), name)
		if e == nil {
			cfg := stream.CachedInfo().Config
			cfg.MaxAge = 0
			_, e = b.JetStream().UpdateStream(t.Context(), cfg)
		}
		err = errors.Join(err, e)
	}
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
}

// past is what is done to the recorded server, by ann unless it is said.
type past struct {
	t testing.TB
	c *client.Client
}

func (h past) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h past) plan(name, plan string) string {
	h.t.Helper()
	id, now := "CHG-"+name, time.Now().UTC()
	opens := now.Add(-time.Minute)
	if name == "planned" || name == "cancelled" {
		opens = now.Add(50 * 365 * 24 * time.Hour)
	}
	target := "web-" + name
	if name == "planned" || name == "cancelled" || name == "closed" {
		target = "web-open"
	}
	_, err := h.c.PlanChange(h.t.Context(), backout.ChangeSpec{
		ID: id, Title: "web shop 2.0", Patch: backout.Patch{Kind: "packages", IDs: []string{"shop-2.0"}}, Targets: []string{target}, Plan: plan, Owner: "ann",
		Window: backout.Window{Opens: opens, Closes: opens.Add(49 * 365 * 24 * time.Hour), Watch: backout.Duration(time.Hour)},
	})
	h.ok(err)
	return id
}

func (h past) open(name, plan string) string {
	h.t.Helper()
	id := h.plan(name, plan)
	_, err := h.c.OpenChange(h.t.Context(), id)
	h.ok(err)
	return id
}

func (h past) start(name, plan string) string {
	h.t.Helper()
	id := h.open(name, plan)
	r, err := h.c.StartRollback(h.t.Context(), handlers.StartRequest{ChangeID: id, Targets: []string{"web-" + name}, Reason: "it is red"})
	h.ok(err)
	return r.ID
}

func (h past) await(what string, done func() (bool, error)) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		ok, err := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			h.t.Fatalf("not in time: %s: %v", what, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (h past) awaitRollback(id string, want func(backout.Rollback) bool) {
	h.t.Helper()
	h.await(id, func() (bool, error) {
		r, err := h.c.Rollback(h.t.Context(), id)
		return err == nil && want(r), errors.Join(err, fmt.Errorf("it is %s", r.Status))
	})
}

func (h past) post(severity, target string) {
	h.t.Helper()
	body := fmt.Sprintf(`[{"labels":{"alertname":"Down","severity":%q,"instance":"%s:9100"},"annotations":{"summary":"it is down"}}]`, severity, target)
	req, err := http.NewRequestWithContext(h.t.Context(), "POST", h.c.Server()+"/api/v2/alerts", strings.NewReader(body))
	h.ok(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer intake"+releaseToken)
	res, err := http.DefaultClient.Do(req)
	h.ok(err)
	h.ok(res.Body.Close())
	if res.StatusCode != http.StatusOK {
		h.t.Fatalf("posted: %s", res.Status)
	}
}

func (h past) play() {
	t, c, ctx := h.t, h.c, h.t.Context()
	h.plan("planned", "good")
	_, err := c.CancelChange(ctx, h.plan("cancelled", "good"), "not this year")
	h.ok(err)
	closed := h.open("closed", "good")
	for _, do := range []func(context.Context, string) (backout.Change, error){
		c.PatchStarted,
		func(ctx context.Context, id string) (backout.Change, error) { return c.PatchEnded(ctx, id, 0) },
		func(ctx context.Context, id string) (backout.Change, error) {
			return c.CloseChange(ctx, id, "all is well")
		},
	} {
		_, err := do(ctx, closed)
		h.ok(err)
	}
	is := func(s backout.RollbackStatus) func(backout.Rollback) bool {
		return func(r backout.Rollback) bool { return r.Status == s }
	}
	running := func(r backout.Rollback) bool {
		return r.Status == backout.RollbackRunning && r.Targets[0].Attempt != nil && r.Targets[0].Attempt.Runner != ""
	}
	h.awaitRollback(h.start("good", "good"), is(backout.RollbackRecovered))
	h.awaitRollback(h.start("bad", "bad"), is(backout.RollbackExhausted))
	aborted := h.start("aborted", "slow")
	h.awaitRollback(aborted, running)
	_, err = c.Act(ctx, aborted, handlers.Action{Verb: handlers.VerbAbort, Reason: "wrong change"})
	h.ok(err)
	h.awaitRollback(aborted, is(backout.RollbackAborted))
	for _, name := range []string{"ask", "climb"} {
		id := h.start(name, name)
		h.awaitRollback(id, func(r backout.Rollback) bool { return r.Ask != nil })
		r, err := c.Rollback(ctx, id)
		h.ok(err)
		_, err = clientAs(t, c.Server(), "bob").Vote(ctx, id, r.Ask.ID, backout.ChoiceApprove, "go on")
		h.ok(err)
	}
	shadow := h.open("shadow", "good")
	_, err = c.PatchStarted(ctx, shadow)
	h.ok(err)
	_, err = c.PatchEnded(ctx, shadow, 0)
	h.ok(err)
	h.open("auto", "good")
	h.post("warning", "web-shadow")
	h.post("critical", "web-auto")
	h.awaitRollback("CHG-auto-r1", func(r backout.Rollback) bool { return r.Status != backout.RollbackPending })
	held := h.start("held", "slow")
	h.awaitRollback(held, running)
	_, err = c.Act(ctx, held, handlers.Action{Verb: handlers.VerbHold, Reason: "look first"})
	h.ok(err)
	slow := h.start("slow", "slow")
	h.awaitRollback(slow, running)
	h.await("notices wait and are given up", func() (bool, error) {
		list, err := c.Notices(ctx)
		givenUp := slices.ContainsFunc(list, func(n handlers.NoticeStatus) bool { return n.GivenUp })
		waits := slices.ContainsFunc(list, func(n handlers.NoticeStatus) bool { return !n.GivenUp && n.Tries > 0 })
		return givenUp && waits, err
	})
	_, err = c.Pause(ctx, "storage maintenance")
	h.ok(err)
}
