package engine

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/hostile"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/store"
)

// answer is what the server says of the gate's last answer.
func (w *openWorld) answer(e *Engine) handlers.GateResult {
	w.t.Helper()
	out, err := e.GateAnswer(w.t.Context(), "C1")
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// sameAnswer compares whole answers: the one that the gate gave stands a moment
// before its record.
func sameAnswer(t *testing.T, said, kept handlers.GateResult) {
	t.Helper()
	if diff := cmp.Diff(said, kept, cmpopts.EquateApproxTime(time.Second), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the gate's last answer (-said +kept):\n%s", diff)
	}
}

// TestGateAnswerIsKept: with every cell, by any server, after a restart, and for as
// long as it is the last.
func TestGateAnswerIsKept(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		other, err := store.Open(t.Context(), store.Options{JS: w.js, Server: "other"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		e, b := w.serve("me", w.store), w.serve("other", other)
		defer b.Close()
		w.planned(e, "C1")
		for _, id := range []string{"C1", "C9"} {
			if _, err := e.GateAnswer(t.Context(), id); !errors.Is(err, backout.ErrNotFound) {
				t.Errorf("of %s, before it was asked: %v", id, err)
			}
		}
		yes, err := e.CheckGate(t.Context(), alice, "C1")
		if err != nil || !yes.Passed || len(yes.Looks) != 10 || yes.ValidUntil.IsZero() || yes.At.IsZero() {
			t.Fatalf("%+v, %v", yes, err)
		}
		sameAnswer(t, yes, w.answer(e))
		sameAnswer(t, yes, w.answer(b))

		w.site.set(func() { w.site.no["L1"] = []backout.Violation{{Check: "package", Reason: "gone", Fix: "keep it"}} })
		time.Sleep(time.Minute)
		no, err := b.CheckGate(t.Context(), alice, "C1")
		if err != nil || no.Passed || len(no.Violations) != 2 || no.Violations[0].Fix != "keep it" {
			t.Fatalf("%+v, %v", no, err)
		}
		sameAnswer(t, no, w.answer(e))
		e.Close()
		e = w.serve("me", w.store)
		defer e.Close()
		sameAnswer(t, no, w.answer(e))

		time.Sleep(time.Hour)
		again, err := e.CheckGate(t.Context(), alice, "C1")
		if err != nil {
			t.Fatal(err)
		}
		sameAnswer(t, again, w.answer(b)) // the same no, at another time
		if diff := cmp.Diff([]string{"planned", "gate_passed", "gate_refused", "gate_repeated"}, w.kinds("C1")); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

// TestGateAnswerStandsAsTheChangeDoes: a yes that is worth nothing any more is none,
// and says why.
func TestGateAnswerStandsAsTheChangeDoes(t *testing.T) {
	for name, spoil := range map[string]func(w *openWorld, e *Engine){
		"its time is over": func(*openWorld, *Engine) { time.Sleep(25 * time.Hour) },
		"other baselines":  func(w *openWorld, e *Engine) { _, _ = e.CaptureBaseline(w.t.Context(), alice, "C1") },
		"the plan has changed": func(w *openWorld, e *Engine) {
			p, cfg := snapshotPlan(), *w.cfg
			p.Summary = "edited"
			cfg.Plans = map[string]backout.Plan{"web": p}
			e.config.Store(&cfg)
		},
	} {
		t.Run(name, func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				e := w.serve("me", w.store)
				defer e.Close()
				w.planned(e, "C1")
				yes, err := e.CheckGate(t.Context(), alice, "C1")
				if err != nil || !yes.Passed {
					t.Fatalf("%+v, %v", yes, err)
				}
				spoil(w, e)
				c, err := e.Change(t.Context(), "C1")
				got := w.answer(e)
				last := len(got.Warnings) - 1
				if err != nil || got.Passed || c.Stale == "" || last != len(yes.Warnings) || got.Warnings[last].Check != checkStale || !strings.Contains(got.Warnings[last].Reason, c.Stale) {
					t.Errorf("passed %v, %q, %v; warnings %+v", got.Passed, c.Stale, err, got.Warnings)
				}
				if len(got.Looks) != len(yes.Looks) || !got.ValidUntil.Equal(c.ValidUntil) {
					t.Errorf("%d looks, valid until %s: the rest is as it was said", len(got.Looks), got.ValidUntil)
				}
			})
		})
	}
}

// TestGateAnswerOfAnOpening: the yes that opened the window, or the no that kept it
// shut, with what was seen once all was made.
func TestGateAnswerOfAnOpening(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.during = func(errand runner.Errand, task backout.Task) {
			if errand == runner.ErrandPrepare && task.Step.Uses == "snapshot" && task.Target.Name == "web2" {
				w.site.set(func() { w.site.no["L2"] = []backout.Violation{{Check: "space", Reason: "full", Fix: "make room"}} })
			}
		}
		_, err := e.OpenChange(t.Context(), alice, "C1")
		refused, ok := errors.AsType[*backout.RefusedError](err)
		no := w.answer(e)
		if !ok || no.Passed || cmp.Diff(refused.Violations, no.Violations) != "" || !slices.Contains(no.Looks, handlers.GateLook{Target: "web2", Level: "L2", Check: "space"}) {
			t.Errorf("refused by %v, kept %+v", err, no)
		}
		w.site.during = nil
		w.site.set(func() { clear(w.site.no) })
		c, err := e.OpenChange(t.Context(), alice, "C1")
		yes := w.answer(e)
		if err != nil || !yes.Passed || !yes.At.Equal(c.OpenedAt) || yes.PlanHash != c.Frozen.Hash || len(yes.Violations) > 0 || !yes.ValidUntil.IsZero() {
			t.Errorf("opened: %v, kept %+v", err, yes)
		}
		for _, want := range []handlers.GateLook{{Target: "web1", Level: "baseline", Check: "snapshot", OK: true}, {Target: "web2", Level: "L2", Check: "merge", OK: true, Loses: "data written since 18:00"}} {
			if !slices.Contains(yes.Looks, want) {
				t.Errorf("%+v is not among %+v", want, yes.Looks)
			}
		}
	})
}

// TestGateAnswerOfALiveChange is that of its readiness, once that was written down.
func TestGateAnswerOfALiveChange(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		opened := w.open1(e).OpenedAt
		time.Sleep(2*readinessEvery + time.Second)
		synctest.Wait()
		if got := w.answer(e); !got.Passed || !got.At.Equal(opened) {
			t.Errorf("while nothing is new: %v at %s, want the opening's of %s", got.Passed, got.At, opened)
		}
		w.site.set(func() { w.site.no["L2"] = []backout.Violation{{Check: "space", Reason: "91 % full"}} })
		time.Sleep(readinessEvery)
		synctest.Wait()
		got := w.answer(e)
		if got.Passed || len(got.Violations) != 2 || time.Since(got.At) > time.Minute || !slices.Contains(got.Looks, handlers.GateLook{Target: "web1", Level: "L2", Check: "space"}) {
			t.Errorf("after the survey: %+v", got)
		}
		w.site.set(func() { w.site.no["L2"][0].Reason = "93 % full" })
		asked, err := e.CheckGate(t.Context(), alice, "C1")
		if err != nil {
			t.Fatal(err)
		}
		sameAnswer(t, asked, w.answer(e))
		w.site.set(func() { clear(w.site.no) })
		time.Sleep(readinessEvery)
		synctest.Wait()
		if got := w.answer(e); !got.Passed || len(got.Violations) > 0 || len(got.Looks) != 6 {
			t.Errorf("ready again: %+v", got)
		}
		if told := w.mouth.told(); len(told) != 3 { // opened, not ready, ready again
			t.Errorf("told %v", told)
		}
	})
}

// TestGateAnswerHoldsAll of a no whose reasons do not fit into a record.
func TestGateAnswerHoldsAll(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		for i := range fewMost {
			w.site.no["L1"] = append(w.site.no["L1"], backout.Violation{Check: fmt.Sprint("check-", i), Reason: "no"})
		}
		no, err := e.CheckGate(t.Context(), alice, "C1")
		c, _ := e.Change(t.Context(), "C1")
		if err != nil || len(no.Violations) != 2*fewMost || len(c.Violations) != fewMost+1 {
			t.Fatalf("%d reasons, %d of them in the record, %v", len(no.Violations), len(c.Violations), err)
		}
		sameAnswer(t, no, w.answer(e))
	})
}

// TestGateAnswerOfHostileTexts: what targets say is data.
func TestGateAnswerOfHostileTexts(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		for _, text := range hostile.Strings() {
			text = strings.ToValidUTF8(text, "\ufffd") // as JSON has it
			w.site.no["L1"] = append(w.site.no["L1"], backout.Violation{Check: text, Reason: text, Fix: text})
		}
		no, err := e.CheckGate(t.Context(), alice, "C1")
		if err != nil {
			t.Fatal(err)
		}
		sameAnswer(t, no, w.answer(e))
	})
}

// reluctant is a JetStream that does not store the tables of answers: it refuses them,
// or never answers.
type reluctant struct {
	jetstream.JetStream
	hangs bool
}

// PublishMsg implements [jetstream.Publisher].
func (r *reluctant) PublishMsg(ctx context.Context, m *nats.Msg, o ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if isTable(m) {
		if !r.hangs {
			return nil, &jetstream.APIError{Code: 500, ErrorCode: 10077, Description: "no space left on device"}
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return r.JetStream.PublishMsg(ctx, m, o...)
}

func isTable(m *nats.Msg) bool {
	if !strings.HasPrefix(m.Subject, "$O.BACKOUT_ARTIFACTS.C.") {
		return false
	}
	zip, err := gzip.NewReader(bytes.NewReader(m.Data))
	if err != nil {
		return false
	}
	data, err := io.ReadAll(zip)
	return err == nil && bytes.Contains(data, []byte(`"looks"`))
}

// TestGateAnswersWithoutAStore: a table that cannot be stored makes no yes a no, nor
// keeps it waiting; what is known all the same is shown, and what is missing said.
func TestGateAnswersWithoutAStore(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprint("hangs=", hangs), func(t *testing.T) {
			withTargets(t, func(t *testing.T, w *openWorld) {
				_ = w.store.Close()
				w.open(&reluctant{w.js, hangs})
				e := w.serve("me", w.store)
				defer e.Close()
				w.planned(e, "C1")
				w.site.no["L1"] = []backout.Violation{{Check: "package", Reason: "gone", Fix: "keep it"}}
				began := time.Now()
				no, err := e.CheckGate(t.Context(), alice, "C1")
				if took := time.Since(began); err != nil || no.Passed || took > keepAnswerTime+time.Second/2 {
					t.Fatalf("%+v, %v after %s", no, err, took)
				}
				noted := func(what string, passed bool, reasons []backout.Violation) {
					t.Helper()
					got := w.answer(e)
					if got.Passed != passed || len(got.Looks) > 0 || cmp.Diff(reasons, got.Violations, cmpopts.EquateEmpty()) != "" || len(got.Warnings) == 0 || got.Warnings[0].Check != checkTable {
						t.Errorf("%s: %+v", what, got)
					}
				}
				noted("a no", false, no.Violations)
				clear(w.site.no)
				began = time.Now()
				c, err := e.OpenChange(t.Context(), alice, "C1")
				if took := time.Since(began); err != nil || c.State != backout.ChangeOpen || took > keepAnswerTime+time.Second/2 {
					t.Fatalf("%s, %v after %s", c.State, err, took)
				}
				noted("the opening", true, nil)
				w.site.set(func() { w.site.away["web1"] = true })
				not, err := e.CheckGate(t.Context(), alice, "C1")
				if err != nil {
					t.Fatal(err)
				}
				noted("not ready", false, not.Violations)
				for range 2 { // the window, then the watch
					if _, err := e.CloseChange(t.Context(), alice, "C1", ""); err != nil {
						t.Fatal(err)
					}
				}
				noted("after its end", false, not.Violations)
			})
		})
	}
}

// TestGateAnswerThatIsLost: a table that is gone, or is another change's, is said to
// be missing; a store that does not answer is no such thing.
func TestGateAnswerThatIsLost(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.no["L1"] = []backout.Violation{{Check: "package", Reason: "gone"}}
		no, err := e.CheckGate(t.Context(), alice, "C1")
		if err != nil {
			t.Fatal(err)
		}
		c, _ := e.Change(t.Context(), "C1")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := e.GateAnswer(ended, "C1"); err == nil {
			t.Errorf("a store that was not asked says %+v", got)
		}
		foreign, err := w.store.Artifacts.Put(t.Context(), []byte(`{"change_id":"C2","violations":[{"check":"secret","reason":"of C2"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		c.Answer = foreign
		if got, err := e.storedAnswer(t.Context(), c); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("another change's answer: %+v, %v", got, err)
		}
		c, _ = e.Change(t.Context(), "C1")
		if err := w.store.Artifacts.Delete(t.Context(), c.Answer); err != nil {
			t.Fatal(err)
		}
		got := w.answer(e)
		if cmp.Diff(no.Violations, got.Violations) != "" || got.Passed || len(got.Looks) > 0 || got.Warnings[0].Check != checkTable {
			t.Errorf("without its table: %+v", got)
		}
	})
}

// TestGateAnswerOfAnOldLog: releases before stored no table.
func TestGateAnswerOfAnOldLog(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		c, _ := e.Change(t.Context(), "C1")
		old := backout.Record{Op: "old", By: "before", At: time.Now().UTC(), Events: []backout.Event{
			backout.GateRefused{Violations: []backout.Violation{{Check: "plan", Reason: "no levels"}}},
		}}
		if _, err := w.store.Changes.Append(t.Context(), "C1", c.Revision, old); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := w.answer(e); got.Passed || len(got.Violations) != 1 || !got.At.Equal(old.At) || len(got.Warnings) != 1 || got.Warnings[0].Fix == "" {
			t.Errorf("%+v", got)
		}
	})
}

// TestGateAnswerIsRestored from a backup, as whatever else is stored is.
func TestGateAnswerIsRestored(t *testing.T) {
	var file bytes.Buffer
	var said handlers.GateResult
	var cfg *Config
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "C1")
		w.site.no["L1"] = []backout.Violation{{Check: "package", Reason: "gone", Fix: "keep it"}}
		var err error
		if said, err = e.CheckGate(t.Context(), alice, "C1"); err != nil || len(said.Looks) == 0 {
			t.Fatalf("%+v, %v", said, err)
		}
		cfg = w.cfg
		if _, err := w.store.Backup(t.Context(), &file, "1.0"); err != nil {
			t.Fatal(err)
		}
	})
	checked, err := store.CheckBackup(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	o := store.Options{JS: bustest.Start(t).JetStream(), Server: "two"}
	r, err := store.Restore(t.Context(), o, checked, &file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	e := New(Options{Store: s, Server: "two", Sender: &mouth{}, Log: slog.New(slog.DiscardHandler)}, cfg)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	got, err := e.GateAnswer(t.Context(), "C1")
	if err != nil {
		t.Fatal(err)
	}
	sameAnswer(t, said, got)
}
