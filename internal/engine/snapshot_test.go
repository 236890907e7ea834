package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

// restartable is a store and the servers that are started on it, one at a time.
type restartable struct {
	t     *testing.T
	js    jetstream.JetStream
	store *store.Store
	mouth *mouth
	logs  bytes.Buffer
}

// withStore runs the test in virtual time with a store of its own.
func withStore(t *testing.T, test func(t *testing.T, w *restartable)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &restartable{t: t, js: bustest.Start(t).JetStream(), mouth: &mouth{}}
		w.open(w.js)
		defer func() { _ = w.store.Close() }()
		test(t, w)
	})
}

func (w *restartable) open(js jetstream.JetStream) {
	w.t.Helper()
	var err error
	if w.store, err = store.Open(w.t.Context(), store.Options{JS: js, Server: "me"}); err != nil {
		w.t.Fatal(err)
	}
}

// server starts one that takes a snapshot after so many records.
func (w *restartable) server(every int) (*Engine, error) {
	set, problems := rules.Load(map[string][]byte{})
	if err := problems.Fatal(); err != nil {
		w.t.Fatal(err)
	}
	w.logs.Reset()
	log := slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e := New(Options{Store: w.store, Server: "me", Sender: w.mouth, Log: log, SnapshotEvery: every}, &Config{Rules: set})
	err := e.Start(w.t.Context())
	synctest.Wait()
	return e, err
}

func (w *restartable) mustServe(every int) *Engine {
	w.t.Helper()
	e, err := w.server(every)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// plan appends a change as another server does, from its planning to its end.
func (w *restartable) plan(id string) {
	w.t.Helper()
	rec := backout.Record{Op: id, By: "other", At: time.Now().UTC(), Events: []backout.Event{
		backout.Planned{Spec: backout.ChangeSpec{ID: id, Title: "as planned", Stakeholders: []string{"ops"}}},
		backout.WindowOpened{},
		backout.ChangeEnded{State: backout.ChangeClosed}, // a notice each
	}}
	if _, err := w.store.Changes.Append(w.t.Context(), id, 0, rec); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// told are the notices of the first n of them.
func told(n int) []string {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("C%d.%d.1", i+1, i+1), fmt.Sprintf("C%d.%d.2", i+1, i+1))
	}
	return ids
}

func (w *restartable) doc() (doc snapshotDoc, revision uint64) {
	w.t.Helper()
	have, err := w.store.Control.Get(w.t.Context(), snapshotKey)
	if errors.Is(err, backout.ErrNotFound) {
		return doc, 0
	}
	if err == nil {
		err = json.Unmarshal(have.Value, &doc)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return doc, have.Revision
}

// setDoc replaces the document.
func (w *restartable) setDoc(value any) {
	w.t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		w.t.Fatal(err)
	}
	_, revision := w.doc()
	if _, err := w.store.Control.Put(w.t.Context(), snapshotKey, data, revision); err != nil {
		w.t.Fatal(err)
	}
}

// artifacts counts what the store keeps.
func (w *restartable) artifacts() int {
	w.t.Helper()
	objects, err := w.js.ObjectStore(w.t.Context(), "BACKOUT_ARTIFACTS")
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := objects.List(w.t.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		w.t.Fatal(err)
	}
	return len(list)
}

func (w *restartable) titles(e *Engine) []string {
	w.t.Helper()
	list, err := e.ListChanges(w.t.Context(), handlers.ChangeFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	out := []string{}
	for _, c := range list {
		out = append(out, c.ID+" "+c.Title)
	}
	return out
}

func TestSnapshotIsTakenAndBegunFrom(t *testing.T) {
	withStore(t, func(t *testing.T, w *restartable) {
		e := w.mustServe(3)
		w.plan("C1")
		w.plan("C2")
		if _, revision := w.doc(); revision != 0 {
			t.Error("a snapshot after two records, want it after three")
		}
		w.plan("C3")
		first, _ := w.doc()
		if first.Changes != (place{Seq: 3, ID: "C3", Op: "C3"}) || len(first.Parts) != 1 {
			t.Errorf("document %+v, want one part that covers 3 changes", first)
		}
		w.plan("C4")
		e.Close() // one more at the end
		second, _ := w.doc()
		if second.Changes.Seq != 4 || w.artifacts() != 2 {
			t.Errorf("document %+v and %d artifacts, want a plan and a part that covers 4 changes", second, w.artifacts())
		}
		// That it is used shows only in what the log does not say.
		w.forge(second, "C2", "forged")
		w.plan("C5")
		e = w.mustServe(1000)
		defer e.Close()
		want := []string{"C1 as planned", "C2 forged", "C3 as planned", "C4 as planned", "C5 as planned"}
		if diff := cmp.Diff(want, w.titles(e)); diff != "" {
			t.Errorf("changes (-want +got):\n%s\n%s", diff, w.logs.String())
		}
		if diff := cmp.Diff(told(5), w.mouth.sent); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// forge stores the snapshot with another title of the change.
func (w *restartable) forge(doc snapshotDoc, id, title string) {
	w.t.Helper()
	e := foldEngine()
	f, err := e.snapshots.read(w.t.Context(), doc, w.store.Artifacts.Get)
	if err != nil {
		w.t.Fatal(err)
	}
	c := e.changes.open(f.changes[id])
	c.Title = title
	f.changes[id] = versionOf(c, f.changes[id].seq)
	if doc, err = e.snapshots.put(w.t.Context(), f, w.store.Artifacts.Put); err != nil {
		w.t.Fatal(err)
	}
	w.setDoc(doc)
}

// TestDoubtfulSnapshotCostsTimeOnly: whatever is wrong with it, the logs are read
// instead, and one line says so.
func TestDoubtfulSnapshotCostsTimeOnly(t *testing.T) {
	for name, damage := range map[string]func(w *restartable, doc snapshotDoc){
		"newer schema": func(w *restartable, doc snapshotDoc) { doc.Schema++; w.setDoc(doc) },
		"older schema": func(w *restartable, doc snapshotDoc) { doc.Schema--; w.setDoc(doc) },
		"newer format": func(w *restartable, doc snapshotDoc) { doc.Format++; w.setDoc(doc) },
		"unknown field": func(w *restartable, doc snapshotDoc) {
			w.setDoc(struct {
				snapshotDoc
				More int
			}{doc, 1})
		},
		"no document": func(w *restartable, _ snapshotDoc) { w.setDoc("soon") },
		"part is gone": func(w *restartable, doc snapshotDoc) {
			if err := w.store.Artifacts.Delete(w.t.Context(), doc.Parts[0]); err != nil {
				w.t.Fatal(err)
			}
		},
		"flipped bit": func(w *restartable, doc snapshotDoc) {
			w.alter(doc, func(d []byte) []byte { d[len(d)/2] ^= 4; return d })
		},
		"cut short": func(w *restartable, doc snapshotDoc) { w.alter(doc, func(d []byte) []byte { return d[:len(d)-7] }) },
		"unknown kind": func(w *restartable, doc snapshotDoc) {
			w.part(doc, frame{kind: 'x', seq: 1, id: "C1"}.append(nil))
		},
		"frame cut short": func(w *restartable, doc snapshotDoc) {
			w.part(doc, []byte{kindChange, 1, 200, 'C'})
		},
		"field of another release": func(w *restartable, doc snapshotDoc) {
			body, err := packJSON(map[string]any{"id": "C1", "title": "as planned", "mood": "good"})
			if err != nil {
				w.t.Fatal(err)
			}
			w.part(doc, frame{kind: kindChange, seq: 1, id: "C1", body: body}.append(nil))
		},
		"plan is missing": func(w *restartable, doc snapshotDoc) {
			body, err := packJSON(map[string]any{"id": "C1", "shared_plan": "sha256:no"})
			if err != nil {
				w.t.Fatal(err)
			}
			w.part(doc, frame{kind: kindChange, seq: 1, id: "C1", body: body}.append(nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			withStore(t, func(t *testing.T, w *restartable) {
				e := w.mustServe(2)
				w.plan("C1")
				w.plan("C2")
				e.Close()
				doc, _ := w.doc()
				w.forge(doc, "C2", "forged") // would be seen
				doc, _ = w.doc()
				damage(w, doc)
				e = w.mustServe(2)
				defer e.Close()
				if diff := cmp.Diff([]string{"C1 as planned", "C2 as planned"}, w.titles(e)); diff != "" {
					t.Errorf("changes (-want +got):\n%s", diff)
				}
				if n := strings.Count(w.logs.String(), "\n"); n != 1 || !strings.Contains(w.logs.String(), "no snapshot to begin from") {
					t.Errorf("%d log lines, want one about the snapshot:\n%s", n, w.logs.String())
				}
				if doc, _ := w.doc(); doc.Schema != foldSchema || doc.Format != snapshotFormat || doc.Changes.Seq != 2 {
					t.Errorf("document %+v, want a new snapshot", doc)
				}
				if diff := cmp.Diff(told(2), w.mouth.sent); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// alter changes what is stored of a part, under the same name.
func (w *restartable) alter(doc snapshotDoc, change func([]byte) []byte) {
	w.t.Helper()
	objects, err := w.js.ObjectStore(w.t.Context(), "BACKOUT_ARTIFACTS")
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := objects.GetBytes(w.t.Context(), doc.Parts[0])
	if err == nil {
		_, err = objects.PutBytes(w.t.Context(), doc.Parts[0], change(data))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// part makes the snapshot one of this part alone.
func (w *restartable) part(doc snapshotDoc, data []byte) {
	w.t.Helper()
	digest, err := w.store.Artifacts.Put(w.t.Context(), data)
	if err != nil {
		w.t.Fatal(err)
	}
	doc.Parts = []string{digest}
	w.setDoc(doc)
}

// TestLogThatEndsBeforeItsSnapshotIsAnError: the snapshot knows records that the
// log has lost, and nothing may be done on half a history.
func TestLogThatEndsBeforeItsSnapshotIsAnError(t *testing.T) {
	withStore(t, func(t *testing.T, w *restartable) {
		e := w.mustServe(2)
		w.plan("C1")
		w.plan("C2")
		e.Close()
		doc, _ := w.doc()
		for name, at := range map[string]place{
			"lost tail":      {Seq: 3, ID: "C3", Op: "C3"},
			"another record": {Seq: 2, ID: "C2", Op: "else"},
			"another id":     {Seq: 2, ID: "C9", Op: "C2"},
		} {
			doc.Changes = at
			w.setDoc(doc)
			e, err := w.server(1000)
			e.Close()
			if err == nil || !strings.Contains(err.Error(), "CHANGES") || !strings.Contains(err.Error(), "restore the store from a backup") {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}

// failing is a JetStream on which publishing on a subject fails.
type failing struct {
	jetstream.JetStream
	subject string
}

// PublishMsg implements [jetstream.Publisher].
func (f *failing) PublishMsg(ctx context.Context, m *nats.Msg, o ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if m.Subject == f.subject {
		return nil, &jetstream.APIError{Code: 500, ErrorCode: 10077, Description: "no space left on device"}
	}
	return f.JetStream.PublishMsg(ctx, m, o...)
}

func TestCrashBetweenPartsAndDocumentLeavesTheOldOne(t *testing.T) {
	withStore(t, func(t *testing.T, w *restartable) {
		e := w.mustServe(2)
		w.plan("C1")
		w.plan("C2")
		e.Close()
		before, _ := w.doc()
		_ = w.store.Close()
		w.open(&failing{JetStream: w.js, subject: "$KV.BACKOUT_CONTROL." + snapshotKey})
		e = w.mustServe(2)
		w.plan("C3")
		w.plan("C4")
		e.Close()
		after, _ := w.doc()
		if diff := cmp.Diff(before, after); diff != "" || w.artifacts() < 3 {
			t.Errorf("%d artifacts, and the document moved:\n%s", w.artifacts(), diff)
		}
		_ = w.store.Close()
		w.open(w.js)
		e = w.mustServe(2)
		defer e.Close()
		if got := w.titles(e); len(got) != 4 {
			t.Errorf("changes %v", got)
		}
		if doc, _ := w.doc(); doc.Changes.Seq != 4 {
			t.Errorf("document %+v, want one that covers all", doc)
		}
		if diff := cmp.Diff(told(4), w.mouth.sent); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestSnapshotOnlyMovesForward: a server that is behind leaves the one that
// stands, and two at once leave one.
func TestSnapshotOnlyMovesForward(t *testing.T) {
	withStore(t, func(t *testing.T, w *restartable) {
		e := w.mustServe(2)
		defer e.Close()
		w.plan("C1")
		w.plan("C2")
		w.plan("C3")
		standing, revision := w.doc()
		behind := newFolded()
		behind.changesAt = place{Seq: 1, ID: "C1", Op: "C1"}
		behind.rollbacksAt = place{Seq: 900}
		for _, f := range []folded{newFolded(), behind} {
			e.snapshots.write(t.Context(), f, 1)
		}
		if doc, now := w.doc(); now != revision {
			t.Errorf("document %+v, want %+v", doc, standing)
		}
	})
}

// TestSnapshotWaitsForTheOutbox: what it covers has been told, so a record whose
// notice is not out is not covered.
func TestSnapshotWaitsForTheOutbox(t *testing.T) {
	withStore(t, func(t *testing.T, w *restartable) {
		away := errors.New("away")
		w.mouth.fail = map[string][]error{}
		for range 100 {
			w.mouth.fail["C2.2.1"] = append(w.mouth.fail["C2.2.1"], away)
		}
		e := w.mustServe(1)
		for i := range 4 {
			w.plan(fmt.Sprintf("C%d", i+1))
		}
		if doc, _ := w.doc(); doc.Changes.Seq != 1 {
			t.Errorf("it covers %+v, and C2 is not out", doc.Changes)
		}
		e.Close()
		if doc, _ := w.doc(); doc.Changes.Seq != 1 {
			t.Errorf("at the end it covers %+v, and C2 is not out", doc.Changes)
		}
		w.mouth.fail = nil
		e = w.mustServe(1)
		defer e.Close()
		if diff := cmp.Diff(told(4), w.mouth.sent); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestSnapshotThatFailedIsTriedAgainAtTheEnd, and not before as many records came
// again.
func TestSnapshotThatFailedIsTriedAgainAtTheEnd(t *testing.T) {
	withStore(t, func(t *testing.T, w *restartable) {
		full := &failing{JetStream: w.js, subject: "$KV.BACKOUT_CONTROL." + snapshotKey}
		_ = w.store.Close()
		w.open(full)
		e := w.mustServe(2)
		for i := range 3 {
			w.plan(fmt.Sprintf("C%d", i+1))
		}
		if n := strings.Count(w.logs.String(), "snapshot not written"); n != 1 {
			t.Errorf("tried %d times, want once:\n%s", n, w.logs.String())
		}
		full.subject = ""
		e.Close()
		if doc, _ := w.doc(); doc.Changes.Seq != 3 {
			t.Errorf("document %+v, want one that covers all", doc)
		}
	})
}
