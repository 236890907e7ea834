package simtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/secret"
	"github.com/backout-io/backout/notifier"
	notifierall "github.com/backout-io/backout/notifier/all"
)

// told is a rollback as its log and its targets tell it, in times since the alert,
// and what each audience read.
type told struct {
	events, effects []string
	took            time.Duration
	read            map[string][]string // by audience and log
	tries           map[string]int
}

// failures are how each audience's channel fails; nil is up.
type failures map[string]func(ctx context.Context, m backout.Message) error

// troubled: chat asks to be left alone, the mail server takes the connection and says
// nothing more, and all others answer that they are down.
func troubled() failures {
	out := failures{}
	for _, audience := range peopleOf {
		out[audience] = func(context.Context, backout.Message) error { return errors.New("503 Service Unavailable") }
	}
	maps.Copy(out, failures{
		"chat": func(context.Context, backout.Message) error {
			return notifier.RetryAfter(errors.New("too many requests"), time.Minute)
		},
		"mail": func(ctx context.Context, _ backout.Message) error { <-ctx.Done(); return ctx.Err() },
	})
	return out
}

// peopleOf names who reads each channel type.
var peopleOf = map[string]string{
	"slack": "chat", "email": "mail", "webhook": "tickets", "pagerduty": "pager", "teams": "office",
	"alertmanager": "relay", "servicenow": "records", "jira": "desk",
}

// unreachable are the real notifiers, whose peers have gone: nobody listens there.
func unreachable(t *testing.T) failures {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("xoxb-a-secret-of-a-test"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "workflow"), []byte("http://"+gone+"/workflow?sig=a-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds, err := notifierall.Registry()
	if err != nil {
		t.Fatal(err)
	}
	out := failures{}
	for kind, section := range map[string]string{
		"slack":        `{"token": {"file": "secret"}, "channel": "C0123456789", "api_url": "GONE/"}`,
		"email":        `{"smtp": "` + gone + `", "from": "b@example.com", "to": ["x@example.com"], "starttls": "none"}`,
		"webhook":      `{"url": "GONE/", "secret": {"file": "secret"}}`,
		"pagerduty":    `{"routing_key": {"file": "secret"}, "url": "GONE"}`,
		"teams":        `{"url": {"file": "workflow"}}`,
		"alertmanager": `{"urls": ["GONE"]}`,
		"servicenow":   `{"url": "GONE", "username": "b", "password": {"file": "secret"}, "incidents": true}`,
		"jira":         `{"url": "GONE", "token_url": "GONE/token", "client_id": "b", "client_secret": {"file": "secret"}, "record": "OPS-1", "incident": {"project": "OPS"}}`,
	} {
		audience := peopleOf[kind]
		k, ok := kinds.Lookup(kind)
		if !ok || audience == "" {
			t.Fatalf("there is no channel type %s, or nobody reads it", kind)
		}
		section = strings.ReplaceAll(section, "GONE", "http://"+gone)
		n, err := k.Build(t.Context(), json.RawMessage(section), func(c any) error { return secret.Resolve(c, secret.Reader{Dir: dir}) })
		if err != nil {
			t.Fatal(err)
		}
		out[audience] = func(ctx context.Context, m backout.Message) error {
			_, err := n.Notify(ctx, m)
			if err != nil && backout.IsPermanent(err) {
				t.Errorf("%s gives up a notice because nobody listens: %v", kind, err)
			}
			return err
		}
	}
	for _, kind := range kinds.Names() {
		if out[peopleOf[kind]] == nil {
			t.Errorf("the channel type %s takes no part", kind)
		}
	}
	return out
}

// tellARollback runs L1, which does not help, then L2, which two must approve
// and which helps.
func tellARollback(w *World, down failures) told {
	audiences := slices.Sorted(maps.Values(peopleOf))
	for name, fail := range down {
		w.Inbox(name).SetFailing(fail)
	}
	// One target: which of two is first at the same moment is chance.
	w.Host("web-1").On("L1", Script{Takes: 3 * time.Minute})
	w.Host("web-1").On("L2", Script{Takes: 2 * time.Minute, Heals: true})
	w.OpenChange("CHG1", "web-1")
	w.Break("web-1")
	began := time.Now()
	w.Fire("WebErrors", "web-1")
	w.Advance(31 * time.Minute)
	w.Vote("CHG1-r1", "ann", backout.ChoiceApprove)
	w.Advance(time.Minute)
	w.Vote("CHG1-r1", "bob", backout.ChoiceApprove)
	w.Advance(4 * time.Minute)
	w.Resolve("WebErrors", "web-1")
	w.Advance(10 * time.Minute)
	is(w.t, w.Rollback("CHG1-r1"), backout.RollbackRecovered)

	out := told{read: map[string][]string{}, tries: map[string]int{}}
	for _, e := range w.Logs().Rollbacks {
		for _, ev := range e.Record.Events {
			out.events = append(out.events, fmt.Sprintf("%s %s", e.Record.At.Sub(began), tell(ev)))
			out.took = e.Record.At.Sub(began)
		}
	}
	for _, e := range w.Effects() {
		out.effects = append(out.effects, fmt.Sprintf("%s %s %s", e.At.Sub(began), e.Target, e.Level))
	}
	if down != nil {
		for _, name := range audiences {
			if got := w.Inbox(name).Moments(); len(got) > 0 {
				w.t.Errorf("%s is down and read %v", name, got)
			}
			out.tries[name] = w.Inbox(name).Tries()
			w.Inbox(name).SetFailing(nil)
		}
		w.Advance(15 * time.Minute)
	}
	for _, name := range audiences {
		for _, n := range w.Inbox(name).Notices() {
			// Each log's are in order; which of two logs is first at the same moment is chance.
			of, _, _ := strings.Cut(n.ID, ".")
			out.read[name+" of "+of] = append(out.read[name+" of "+of], fmt.Sprintf("%s %s %s at %s", n.Moment, n.Level, n.Reason, n.At.Sub(began)))
		}
	}
	return out
}

// TestRollback_takes_as_long_with_every_channel_down_and_all_is_read_later_in_order:
// every channel type there is, ServiceNow and Jira too, is down from before the window opens until the rollback
// is over.
func TestRollback_takes_as_long_with_every_channel_down_and_all_is_read_later_in_order(t *testing.T) {
	plan := Plan()
	plan.Audience = slices.Sorted(maps.Values(peopleOf))
	plan.Levels[0].Audience, plan.Levels[1].Audience = nil, []string{"mail"}
	plan.Levels[1].Approval = backout.Approval{Mode: backout.ApprovalRequired, Groups: []string{"sre"}, Votes: 2, Expires: minutes(20), OnExpiry: backout.ExpiryDeny}
	var up told
	down := map[string]*told{"troubled": {}, "unreachable": {}}
	t.Run("tell", func(t *testing.T) {
		t.Run("up", func(t *testing.T) {
			Story(t, Setup{Plans: []backout.Plan{plan}}, func(_ *testing.T, w *World) { up = tellARollback(w, nil) })
		})
		for name, out := range down {
			t.Run(name, func(t *testing.T) {
				Story(t, Setup{Plans: []backout.Plan{plan}}, func(t *testing.T, w *World) {
					how := troubled()
					if name == "unreachable" {
						how = unreachable(t)
					}
					*out = tellARollback(w, how)
				})
			})
		}
	})
	if t.Failed() {
		return
	}
	if len(up.effects) != 2 || len(up.read["mail of CHG1-r1"]) < 6 {
		t.Errorf("too little happened: %v, %v", up.effects, up.read)
	}
	for name, down := range down {
		equal(t, name+": events and their times", up.events, down.events)
		equal(t, name+": effects and their times", up.effects, down.effects)
		equal(t, name+": notices, once the channels are up again", up.read, down.read)
		for audience, tries := range down.tries {
			if tries == 0 {
				t.Errorf("%s: %s was never tried while it was down", name, audience)
			}
		}
		t.Logf("up %s, %s %s; %d events; tries while down %v", up.took, name, down.took, len(up.events), down.tries)
	}
}
