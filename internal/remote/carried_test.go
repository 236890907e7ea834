package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/all"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/runner"
)

// start is when the holder of an attempt signed that it is.
var start = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func aCarried(holder string) *carried {
	return newCarried(&work{Holder: holder}, start, runner.New(runner.Options{}))
}

// TestWhoMayWatch: who runs an attempt that nobody has claimed may take it from a
// server that is silent; a claimed one is only for who resumes.
func TestWhoMayWatch(t *testing.T) {
	quiet := func(c *carried) { c.heard = time.Now().Add(-2 * silence) }
	tests := []struct {
		name   string
		change func(*carried)
		by     work
		after  time.Duration
		may    bool
	}{
		{"the same", func(*carried) {}, work{Holder: "first"}, 1, true},
		{"another, while the first is heard", func(*carried) {}, work{Holder: "second"}, 1, false},
		{"another, when the first is silent", quiet, work{Holder: "second"}, 1, true},
		{"another, when it is claimed", func(c *carried) { quiet(c); c.claimed = true }, work{Holder: "second"}, 1, false},
		{"who resumes", func(c *carried) { c.claimed = true }, work{Holder: "second", Resume: true}, 1, true},
		{"who resumed before the first did", func(c *carried) { c.claimed = true }, work{Holder: "second", Resume: true}, -1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := aCarried("first")
			tt.change(c)
			if err := c.join(&tt.by, start.Add(tt.after)); (err == nil) != tt.may {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAnAnswerIsForItsQuestion: one that answers an earlier question, or was made up,
// counts for nothing.
func TestAnAnswerIsForItsQuestion(t *testing.T) {
	c := aCarried("h")
	answered := make(chan error, 1)
	go func() { answered <- c.begin(t.Context()) }()
	var asked *ask
	eventually(t, "it asks", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		asked = c.ask
		return asked != nil
	})
	c.wishes(&watch{Holder: "h", Answer: &answer{Number: "another"}})
	select {
	case err := <-answered:
		t.Fatalf("the wrong answer was taken: %v", err)
	default:
	}
	c.mu.Lock()
	still := c.ask == asked
	c.mu.Unlock()
	if !still {
		t.Error("the question is gone")
	}
	c.wishes(&watch{Holder: "h", Answer: &answer{Number: asked.Number, No: "paused"}})
	if err := <-answered; err == nil || err.Error() != "paused" {
		t.Error(err)
	}
}

// TestAnEndIsRememberedLongerThanMessagesLive, so that none can have the attempt
// carried out anew.
func TestAnEndIsRememberedLongerThanMessagesLive(t *testing.T) {
	c := aCarried("h")
	c.finish(runner.Result{})
	c.release(&release{Holder: "h"})
	now := time.Now()
	if c.stale(now.Add(lifetime + skew + time.Second)) {
		t.Error("it is forgotten while a message about it may be believed")
	}
	if !c.stale(now.Add(keptAfter + time.Second)) {
		t.Error("it is remembered for ever")
	}
}

// TestAConfirmedEndHoldsNoOutput: many attempts end within the time for which their
// ends are remembered. The end itself is told as before.
func TestAConfirmedEndHoldsNoOutput(t *testing.T) {
	c := aCarried("h")
	_, _ = c.Write([]byte("live"))
	c.finish(runner.Result{Output: []byte("kept")})
	if s := c.state(&watch{Offset: 4}, 100); s.Result == nil || string(s.Kept) != "kept" {
		t.Fatalf("before: %+v", s)
	}
	c.release(&release{Holder: "h"})
	if len(c.result.Output) > 0 || cap(c.live.data) > 0 {
		t.Errorf("%d bytes kept, %d live", len(c.result.Output), cap(c.live.data))
	}
	if s := c.state(&watch{}, 100); s.Result == nil || s.Offset != 4 || s.KeptSize != 0 {
		t.Errorf("after: %+v", s)
	}
}

// TestOutputIsPrintedOnce whatever pieces come: again, overlapping, with a gap.
func TestOutputIsPrintedOnce(t *testing.T) {
	c := &claims{}
	h := &held{job: runner.Job{Live: c}}
	for _, s := range []state{
		{Offset: 0, Output: []byte("abc")}, {Offset: 0, Output: []byte("abc")}, {Offset: 3}, {Offset: 1, Output: []byte("bcde")}, {Offset: 7, Output: []byte("h")},
	} {
		h.print(&s)
	}
	if got, want := c.output(), "abcde\n[2 bytes left out]\nh"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// crowd is runners that answer an offer, in this order.
type crowd struct {
	desk
	replies []reply
}

// Gather implements Conn.
func (c *crowd) Gather(_ context.Context, _ bus.Message, take func(bus.Message) bool) error {
	for _, r := range c.replies {
		r.Version = version
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if !take(bus.Message{Data: data}) {
			return nil
		}
	}
	return nil
}

// TestWhoGetsAnAttempt: who has it already, else who has not given it back, else who
// has most room; who refuses does
// not count, unless nobody else is there.
func TestWhoGetsAnAttempt(t *testing.T) {
	key, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	no := func(name, why string) reply { return reply{Runner: name, Refused: why} }
	tired := []string{"tired", "exhausted"}
	again, last := reply{Address: "tired.1", Free: 90}, reply{Address: "exhausted.1", Free: 99}
	few, many := reply{Address: "few.1", Free: 3}, reply{Address: "many.1", Free: 9}
	has := reply{Address: "has.1", Carries: true}
	for want, replies := range map[string][]reply{
		"many.1": {few, no("x", "no room"), many}, "has.1": {many, has}, "few.2": {last, {Address: "few.2", Free: 1}, again}, "tired.1": {last, again}, "few.1": {no("x", "no room"), few},
		"runner x refuses: no room; runner y refuses: no key": {no("y", "no key"), no("x", "no room"), no("x", "no room")},
	} {
		h, err := NewHub(HubOptions{Conn: &crowd{replies: replies}, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		for i := range replies {
			h.seen[fmt.Sprint(i)] = Info{Site: "fra", Alive: true, LastSeen: time.Now()}
		}
		got, err := h.Site("fra").offer(t.Context(), &work{}, tired)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestWhoIsAskedToLook: the newest life of a runner, those that are silent only when
// nobody else is there, none that has left, and none twice.
func TestWhoIsAskedToLook(t *testing.T) {
	h := (&liar{}).hub(t)
	h.since = time.Time{}
	see := func(address, site string, ago time.Duration, alive bool) {
		h.seen[address] = Info{Name: nameOf(address), Site: site, Address: address, LastSeen: time.Now().Add(-ago), Alive: alive}
	}
	see("a.old", "fra", 2*time.Second, true)
	see("a.new", "fra", 0, true)
	see("b.1", "fra", 0, true)
	see("silent.1", "fra", time.Minute, true)
	see("left.1", "fra", 0, false)
	see("far.1", "nyc", 0, true)
	first := map[string]bool{}
	for range 200 {
		first[h.choose(t.Context(), "fra", nil)] = true
	}
	if len(first) != 2 || !first["a.new"] || !first["b.1"] {
		t.Errorf("asked first: %v", first)
	}
	if got := h.choose(t.Context(), "fra", []string{"a.new", "a.old", "b.1"}); got != "silent.1" {
		t.Errorf("asked then: %q", got)
	}
	if got := h.choose(t.Context(), "fra", []string{"a.new", "a.old", "b.1", "silent.1"}); got != "" {
		t.Errorf("asked last: %q", got)
	}
}

// away is a target that is out of reach.
type away struct{ backout.Host }

func (a away) For(backout.Target) (backout.Host, error)        { return a, nil }
func (away) BootID(context.Context) (string, error)            { return "", attempt.ErrUnreachable }
func (away) Start(context.Context, string, backout.Exec) error { return attempt.ErrUnreachable }
func (away) Probe(context.Context, string) (backout.AttemptReport, error) {
	return backout.AttemptReport{}, attempt.ErrUnreachable
}

func (away) Attach(context.Context, string, int64, io.Writer) (backout.AttemptReport, error) {
	return backout.AttemptReport{}, attempt.ErrUnreachable
}

// TestATargetOutOfReachIsTold to the server, not more often than every 45 seconds,
// until it says that another runner is there.
func TestATargetOutOfReachIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := agentOptions(&desk{}, "fra-1", "fra", nil)
		known, err := executors.NewRegistry(all.Kinds()...)
		if err != nil {
			t.Fatal(err)
		}
		o.Runner = func(string) *runner.Runner { return runner.New(runner.Options{Executors: known, Hosts: away{}}) }
		a, err := Start(o)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		j, _ := job(here, 1, step("true"))
		if err := a.take(&work{Task: j.Task, Frozen: j.Frozen, Gate: gateOf("CHG1", "web1", j.Gate), Holder: "h"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		c, last, told := a.find(j.Task.AttemptID), time.Now(), 0
		for w := (watch{Holder: "h"}); ; {
			s, err := c.watch(t.Context(), &w, 1<<10)
			if err != nil {
				t.Fatal(err)
			}
			if time.Since(last) > 5*time.Minute {
				t.Fatal("it is not told")
			}
			if s.Result != nil {
				if !s.Result.Interrupted || told != 3 {
					t.Errorf("after %d times: %+v", told, s.Result)
				}
				return
			}
			if s.Ask == nil || w.Answer != nil && w.Answer.Number == s.Ask.Number {
				continue
			}
			w.Answer = &answer{Number: s.Ask.Number}
			if s.Ask.What == askHandOver {
				if since := time.Since(last); since < 45*time.Second || since > 2*time.Minute {
					t.Errorf("told after %v", since)
				}
				if last, told = time.Now(), told+1; told < 3 {
					w.Answer.No = "no other runner is there"
				}
			}
		}
	})
}
