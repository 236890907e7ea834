package slackedge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/slackedge"
	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/slack"
)

func TestMain(m *testing.M) { bustest.Main(m) }

const (
	team    = "T0001"
	channel = "C0001"
	name    = "ops-slack"
	secret  = "8f742231b10e8888abcd99yyyzzz85a5"
)

// rollbacks are decided by the pure core, one after the other, as the engine does.
type rollbacks struct {
	mu      sync.Mutex
	byID    map[string]backout.Rollback
	logs    map[string][]handlers.LogEntry
	seq     uint64
	watch   []func(string)
	tell    func(backout.Notice)
	refuse  error
	stall   func(context.Context) error // comes before a vote
	decided map[string]time.Time        // when each vote or action was on record
}

func newRollbacks() *rollbacks {
	return &rollbacks{byID: map[string]backout.Rollback{}, logs: map[string][]handlers.LogEntry{}, decided: map[string]time.Time{}}
}

func (r *rollbacks) Watch(fn func(string)) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watch = append(r.watch, fn)
	n := len(r.watch) - 1
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.watch[n] = func(string) {}
	}
}

func (r *rollbacks) input(id string, in rollback.Input) (backout.Rollback, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return backout.Rollback{}, r.refuse
	}
	before := r.byID[id]
	at := time.Now().UTC()
	events, err := rollback.Decide(before, at, in)
	if err != nil || len(events) == 0 {
		return before, err
	}
	r.seq++
	rec := backout.Record{At: at, Events: events}
	after := rollback.Fold(before, r.seq, rec)
	r.byID[id] = after
	r.logs[id] = append(r.logs[id], handlers.LogEntry{ID: id, Seq: r.seq, Record: rec})
	r.decided[id] = time.Now()
	for _, c := range rollback.Commands(before, r.seq, rec) {
		if t, ok := c.(backout.Tell); ok && r.tell != nil {
			r.tell(t.Notice)
		}
	}
	for _, fn := range r.watch {
		fn(id)
	}
	return after, rollback.Refusal(events)
}

func (r *rollbacks) Rollback(_ context.Context, id string) (backout.Rollback, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, ok := r.byID[id]
	if !ok {
		return got, fmt.Errorf("rollback %q: %w", id, backout.ErrNotFound)
	}
	got.Targets = slices.Clone(got.Targets)
	return got, nil
}

func (r *rollbacks) ListRollbacks(context.Context, handlers.RollbackFilter) ([]backout.Rollback, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []backout.Rollback
	for _, one := range r.byID {
		out = append(out, one)
	}
	return out, nil
}

func (r *rollbacks) RollbackLog(_ context.Context, id string) ([]handlers.LogEntry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.logs[id]), nil
}

func (r *rollbacks) Vote(ctx context.Context, by handlers.Actor, id, ask string, choice backout.Choice, reason string) (backout.Rollback, error) {
	r.mu.Lock()
	stall := r.stall
	r.mu.Unlock()
	if stall != nil {
		if err := stall(ctx); err != nil {
			return backout.Rollback{}, err
		}
	}
	return r.input(id, rollback.Vote{AskID: ask, Vote: backout.Vote{User: by.Name, Groups: by.Groups, Choice: choice, Reason: reason, Via: by.Via}})
}

func (r *rollbacks) Act(_ context.Context, by handlers.Actor, id string, a handlers.Action) (backout.Rollback, error) {
	if a.Verb == handlers.VerbEscalate {
		return r.input(id, rollback.Escalate{By: by.Name, Reason: a.Reason, From: a.Level, Unheld: a.Unheld})
	}
	return r.input(id, rollback.Hold{By: by.Name, Reason: a.Reason})
}

func (r *rollbacks) lastMove(id string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.decided[id]
}

// votes counts what stands in the log.
func (r *rollbacks) votes(id string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, entry := range r.logs[id] {
		for _, ev := range entry.Record.Events {
			if _, ok := ev.(backout.Voted); ok {
				n++
			}
		}
	}
	return n
}

// refusedOf are the votes that stand in the log as refused.
func (r *rollbacks) refusedOf(id string) (out []backout.VoteRefused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, entry := range r.logs[id] {
		for _, ev := range entry.Record.Events {
			if no, ok := ev.(backout.VoteRefused); ok {
				out = append(out, no)
			}
		}
	}
	return out
}

// accounts are who has linked what.
type accounts struct {
	mu     sync.Mutex
	linked map[string]handlers.Actor
	err    map[string]error
}

func (a *accounts) SlackActor(_ context.Context, team, user string) (handlers.Actor, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.err[user]; err != nil {
		return handlers.Actor{}, err
	}
	if actor, ok := a.linked[team+"/"+user]; ok {
		return actor, nil
	}
	return handlers.Actor{}, backout.ErrNotFound
}

func (a *accounts) LinkSlack(_ context.Context, team, user string) (string, error) {
	return "https://backout.example/link/" + team + "/" + user, nil
}

// world is an edge between a workspace, which is real HTTP and websockets, and a store,
// which is real too.
type world struct {
	t         testing.TB
	slack     *slackfake.Workspace
	url       string
	rollbacks *rollbacks
	accounts  *accounts
	store     *store.Store
	outbox    *outbox.Outbox
	edge      *slackedge.Edge
	config    slack.Config
	log       *logBuffer
	refusals  *refusals
	// shared says that several servers use the store.
	shared bool
}

type logBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

type refusals struct {
	mu   sync.Mutex
	list []slackedge.Refusal
}

func (r *refusals) take(_ context.Context, one slackedge.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, one)
}

func (r *refusals) whys() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.list {
		out = append(out, one.Why)
	}
	return out
}

func newWorld(t testing.TB, o slackfake.Options, change ...func(*slack.Config)) *world {
	t.Helper()
	o.Team, o.BotToken, o.AppToken, o.SigningSecret = team, "xoxb-bot", "xapp-app", secret
	w := &world{
		t: t, slack: slackfake.New(o), rollbacks: newRollbacks(), log: &logBuffer{}, refusals: &refusals{},
		accounts: &accounts{linked: map[string]handlers.Actor{}, err: map[string]error{}},
	}
	server := httptest.NewServer(w.slack)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.slack.PutChannel(slackfake.Channel{ID: channel, Name: "ops", Member: true})
	for _, person := range []string{"ana", "ben", "eve", "paul"} {
		w.link(person, "sre")
	}
	w.config = slack.Config{
		Token: backout.SecretValue("xoxb-bot"), AppToken: backout.SecretValue("xapp-app"), Interactive: true, Team: team, Channel: channel,
		APIURL: server.URL + "/api/",
	}
	for _, fn := range change {
		fn(&w.config)
	}
	s, err := store.Open(t.Context(), store.Options{JS: bustest.Start(t).JetStream(), Server: "one"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w.store = s
	w.start()
	t.Cleanup(w.stop)
	t.Cleanup(w.slack.DropSockets)
	return w
}

// link gives a person an account U<name> and a Slack user of that id.
func (w *world) link(person string, groups ...string) {
	id := "U" + person
	w.slack.Put(slackfake.User{ID: id, Name: person})
	w.accounts.mu.Lock()
	defer w.accounts.mu.Unlock()
	w.accounts.linked[team+"/"+id] = handlers.Actor{Name: person, Groups: groups}
}

// start begins what a server has; the store and the rollbacks stay over a stop.
func (w *world) start() {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.outbox = outbox.New(outbox.Options{Store: w.store.Outbox, Log: log})
	w.edge = w.another("one")
	w.update(w.edge)
	out := w.outbox
	w.rollbacks.mu.Lock()
	w.rollbacks.tell = func(n backout.Notice) {
		if err := out.Send(context.Background(), n); err != nil {
			w.t.Error(err)
		}
	}
	w.rollbacks.mu.Unlock()
	if w.config.AppToken.IsZero() {
		return
	}
	w.await("a connection", func() bool { ok, _ := w.edge.Reach(name); return ok })
}

// stuckBeside serves a second app too, whose workspace takes messages and never answers
// an edit.
func (w *world) stuckBeside(second string) *slackfake.Workspace {
	w.t.Helper()
	ended := make(chan struct{})
	stuck := slackfake.New(slackfake.Options{Team: team, BotToken: "xoxb-other", SigningSecret: secret, Unlimited: true})
	stuck.PutChannel(slackfake.Channel{ID: channel, Name: "ops", Member: true})
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/chat.update" {
			<-ended
			return
		}
		stuck.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(server.Close)
	w.t.Cleanup(func() { close(ended) })
	other := w.config
	other.Token, other.AppToken, other.SigningSecret = backout.SecretValue("xoxb-other"), backout.Secret{}, backout.SecretValue(secret)
	other.APIURL = server.URL + "/api/"
	w.updateAll(w.edge, map[string]slack.Config{name: w.config, second: other})
	return stuck
}

func (w *world) another(server string) *slackedge.Edge {
	return slackedge.New(slackedge.Options{
		Reader: w.rollbacks, Decider: w.rollbacks, Accounts: w.accounts, Store: w.store.Outbox, Watch: w.rollbacks.Watch, Server: server,
		Sole: !w.shared, ExternalURL: "https://backout.example", Refused: w.refusals.take, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
}

func (w *world) update(e *slackedge.Edge) { w.updateAll(e, map[string]slack.Config{name: w.config}) }

// updateAll serves these channels, all of them for ops.
func (w *world) updateAll(e *slackedge.Edge, configs map[string]slack.Config) {
	w.t.Helper()
	c := outbox.Config{Channels: map[string]outbox.Channel{}, Audiences: map[string][]string{}, Templates: notifier.Default()}
	served := map[string]*slack.Notifier{}
	for channel, config := range configs {
		n, err := slack.New(config)
		if err != nil {
			w.t.Fatal(err)
		}
		served[channel], c.Channels[channel] = n, outbox.Channel{Notifier: n, Style: slack.Kind().Style()}
		c.Audiences["ops"] = append(c.Audiences["ops"], channel)
	}
	e.Update(served)
	if err := w.outbox.Update(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop() {
	if w.edge != nil {
		w.edge.Close()
		w.outbox.Close()
	}
	w.edge = nil
}

// await waits until something holds; a change of the workspace makes it look again.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	// The other sides are no part of the workspace: looked at every so often.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		changed := w.slack.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-limit.C:
			w.t.Fatalf("%s did not come about; the log:\n%s", what, w.log.String())
		}
	}
}

func level(name string, a backout.Approval) backout.Level {
	return backout.Level{
		Name: name, EscalateAfter: backout.Duration(30 * time.Minute), Audience: []string{"ops"}, Approval: a,
		Steps: []backout.Step{{Name: "undo the patch", Uses: "dnf.undo", OnOverdue: backout.OverdueWait}},
	}
}

func votesOf(n int) backout.Approval {
	return backout.Approval{
		Mode: backout.ApprovalRequired, Votes: n, Groups: []string{"sre"}, Expires: backout.Duration(30 * time.Minute), OnExpiry: backout.ExpiryDeny,
	}
}

// open begins a rollback whose levels have these approvals; paul wrote its plan.
func (w *world) open(id string, approvals ...backout.Approval) {
	w.t.Helper()
	plan := backout.Plan{
		Name: "web", Author: "paul", DataMigration: backout.DataMigrationNone, Audience: []string{"ops"},
		Verify: backout.Verify{Every: backout.Duration(15 * time.Second), HoldFor: backout.Duration(2 * time.Minute)},
	}
	for i, a := range approvals {
		plan.Levels = append(plan.Levels, level(fmt.Sprintf("L%d", i+1), a))
	}
	_, err := w.rollbacks.input(id, rollback.Open{Opened: backout.Opened{
		RollbackID: id, ChangeID: "CHG0031", ChangeTitle: "openssl 3.0.14", Targets: []string{"web-01", "web-02"}, Requester: "req",
		Patch: backout.Patch{CVEs: []string{"CVE-2026-0001"}}, Frozen: backout.FrozenPlan{Plan: plan, Hash: "sha256:7f3a9c0d1e2b"},
		Trigger: backout.Trigger{Verdict: &backout.Verdict{Rule: "R", AlertName: "HTTP5xx", ChangeID: "CHG0031", Target: "web-01"}},
	}})
	if err == nil {
		_, err = w.rollbacks.input(id, rollback.Tick{})
	}
	if err != nil && !errors.Is(err, backout.ErrStale) {
		w.t.Fatal(err)
	}
}

// card waits for the card of a rollback with this button.
func (w *world) card(id, button string) slackfake.Message {
	w.t.Helper()
	var found slackfake.Message
	w.await("a card of "+id+" with "+button, func() bool {
		for _, m := range w.slack.Cards(channel) {
			if about(m, id) && (button == "" || slices.Contains(m.Buttons(), button)) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func about(m slackfake.Message, id string) bool {
	last := m.Blocks[len(m.Blocks)-1]
	return len(last.Elements) > 0 && bytes.HasPrefix([]byte(last.Elements[0].Plain), []byte(id+" "))
}

func (w *world) click(user string, m slackfake.Message, action string) []byte {
	w.t.Helper()
	payload, err := w.slack.Click(w.t.Context(), user, channel, m.TS, action)
	if err != nil {
		w.t.Fatalf("click: %v; the log:\n%s", err, w.log.String())
	}
	return payload
}

func (w *world) whispered(user, text string) {
	w.t.Helper()
	w.await(fmt.Sprintf("a line for %s with %q", user, text), func() bool {
		return slices.ContainsFunc(w.slack.Ephemerals(user), func(e slackfake.Ephemeral) bool {
			return bytes.Contains([]byte(e.Text), []byte(text))
		})
	})
}

func (w *world) state(id string) backout.Rollback {
	r, err := w.rollbacks.Rollback(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}
