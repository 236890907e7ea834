package engine

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/store"
)

var updateFold = flag.Bool("update", false, "write testdata/fold.jsonl and fold.golden again")

// filler makes events of any kind, with something in every field.
type filler struct{ rand *rand.Rand }

var base = time.Date(2026, 1, 2, 2, 0, 0, 0, time.UTC)

func (f filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		if f.rand.IntN(4) > 0 {
			v.Set(reflect.ValueOf(base.Add(time.Duration(f.rand.IntN(7200)) * 999 * time.Millisecond)))
		}
		return
	case json.RawMessage:
		v.SetBytes(fmt.Appendf(nil, `{"argv":["a<b",%d]}`, f.rand.IntN(3)))
		return
	case backout.RollbackStatus:
		all := []backout.RollbackStatus{backout.RollbackRecovered, backout.RollbackAborted, backout.RollbackCancelled, backout.RollbackHeld}
		v.SetString(string(all[f.rand.IntN(len(all))]))
		return
	case backout.ChangeState:
		v.SetString(string([]backout.ChangeState{backout.ChangeClosed, backout.ChangeBackedOut}[f.rand.IntN(2)]))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Pointer:
		if f.rand.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.Slice:
		n := f.rand.IntN(3)
		if n > 0 || f.rand.IntN(2) == 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range n {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"summary": f.word()}))
	case reflect.String:
		v.SetString(f.word())
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.rand.IntN(3)))
	case reflect.Uint64:
		v.SetUint(uint64(f.rand.IntN(3)))
	case reflect.Bool:
		v.SetBool(f.rand.IntN(2) == 0)
	default:
		panic("no way to fill a " + v.Type().String())
	}
}

func (f filler) word() string { return []string{"web-1", "web-2", "a", "é<&>"}[f.rand.IntN(4)] }

func (f filler) event(like backout.Event) backout.Event {
	v := reflect.New(reflect.TypeOf(like)).Elem()
	f.fill(v)
	e, _ := v.Interface().(backout.Event)
	return e
}

// aboutChanges tells of which log an event is.
func aboutChanges(e backout.Event) bool {
	switch e.(type) {
	case backout.Planned, backout.GateRefused, backout.GateRepeated, backout.GatePassed, backout.BaselineBegan, backout.BaselineCaptured, backout.BaselineFailed,
		backout.DeltaCaptured, backout.ReadinessChanged, backout.WindowOpened, backout.WindowExtended, backout.PatchStarted, backout.PatchEnded, backout.TargetsPatched,
		backout.WatchStarted, backout.RollbackRequested, backout.RollbackEnded, backout.VerdictGiven, backout.RuleJudged, backout.ChangeEnded:
		return true
	}
	return false
}

// logged is a record of either log.
type logged struct {
	Change bool
	Entry  store.Entry
}

// history makes records of a few changes and rollbacks: any events in any order,
// since a fold takes whatever a log holds. Few plans are frozen, and two of them
// pretend to have the same hash.
func (f filler) history(n int) []logged {
	plans := make([]backout.FrozenPlan, 3)
	for i := range plans {
		f.fill(reflect.ValueOf(&plans[i]).Elem())
		plans[i].Hash = fmt.Sprintf("sha256:%d", min(i, 1))
	}
	var kinds [2][]backout.Event
	for _, e := range backout.Events() {
		log := 0
		if aboutChanges(e) {
			log = 1
		}
		kinds[log] = append(kinds[log], e)
	}
	var out []logged
	seq, known := [2]uint64{}, map[string]bool{}
	for range n {
		log, id := f.rand.IntN(2), ""
		rec := backout.Record{Op: fmt.Sprint(f.rand.Uint64()), By: "me", At: base.Add(time.Duration(len(out)) * time.Minute)}
		seq[log]++
		if log == 1 {
			id = fmt.Sprintf("C%d", f.rand.IntN(4))
			rec.Events = append(rec.Events, f.first(known[id], backout.Planned{Spec: backout.ChangeSpec{ID: id, Targets: []string{"web-1"}}})...)
		} else {
			id = fmt.Sprintf("C1-r%d", f.rand.IntN(6))
			rec.Events = append(rec.Events, f.first(known[id], backout.Opened{RollbackID: id, Targets: []string{"web-1", "web-2"}, Frozen: plans[f.rand.IntN(3)]})...)
		}
		known[id] = true
		for range f.rand.IntN(4) {
			e := f.event(kinds[log][f.rand.IntN(len(kinds[log]))])
			switch opened := e.(type) {
			case backout.WindowOpened:
				opened.Frozen = plans[f.rand.IntN(3)]
				e = opened
			case backout.VerdictGiven:
				opened.Verdict.ChangeID = id
				e = opened
			}
			rec.Events = append(rec.Events, e)
		}
		out = append(out, logged{Change: log == 1, Entry: throughLog(store.Entry{ID: id, Seq: seq[log], Record: rec})})
	}
	return out
}

func (f filler) first(known bool, e backout.Event) []backout.Event {
	if known {
		return nil
	}
	return []backout.Event{e}
}

// throughLog is what the log hands over of what was appended.
func throughLog(e store.Entry) store.Entry {
	data, err := json.Marshal(e.Record)
	if err == nil {
		e.Record = backout.Record{}
		err = json.Unmarshal(data, &e.Record)
	}
	if err != nil {
		panic(err)
	}
	return e
}

// foldEngine is an engine that only folds.
func foldEngine() *Engine {
	return New(Options{Store: &store.Store{}, Server: "me", Log: slog.New(slog.DiscardHandler)}, &Config{})
}

// fold takes the records as a relay does whose tables are behind.
func (e *Engine) fold(f *folded, all []logged) {
	for _, l := range all {
		if l.Change {
			f.change(l.Entry, e.changes.after(f.changes[l.Entry.ID], l.Entry))
		} else {
			f.rollback(l.Entry, e.rollbacks.after(f.rollbacks[l.Entry.ID], l.Entry))
		}
	}
}

// said is everything that is folded, for comparison.
type said struct {
	ChangesAt, RollbacksAt place
	Changes                map[string]backout.Change
	Rollbacks              map[string]backout.Rollback
	Verdicts               map[string]map[verdictKey]time.Time
}

func (e *Engine) say(f folded) said {
	s := said{f.changesAt, f.rollbacksAt, map[string]backout.Change{}, map[string]backout.Rollback{}, f.verdicts}
	for id, v := range f.changes {
		s.Changes[id] = e.changes.open(v)
	}
	for id, v := range f.rollbacks {
		s.Rollbacks[id] = e.rollbacks.open(v)
	}
	return s
}

var sameFold = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}

// TestSnapshotAndTailAreTheReplay is law 8 over a snapshot: whatever the history,
// wherever the snapshot was taken, and whatever had been put to rest by then, what
// follows folds to the same, byte for byte.
func TestSnapshotAndTailAreTheReplay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		random := filler{rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))}
		all := random.history(rapid.IntRange(0, 60).Draw(rt, "records"))
		cut := rapid.IntRange(0, len(all)).Draw(rt, "cut")

		whole, full := foldEngine(), newFolded()
		whole.fold(&full, all)
		writer, head := foldEngine(), newFolded()
		writer.fold(&head, all[:cut])
		parts := map[string][]byte{}
		doc, err := writer.snapshots.put(t.Context(), writer.snapshots.outline(&head), func(_ context.Context, data []byte) (string, error) {
			name := fmt.Sprint(len(parts))
			parts[name] = append([]byte(nil), data...)
			return name, nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		reader := foldEngine()
		got, err := reader.snapshots.read(t.Context(), doc, func(_ context.Context, name string) ([]byte, error) { return parts[name], nil })
		if err != nil {
			rt.Fatal(err)
		}
		reader.fold(&got, all[cut:])
		want, have := whole.say(full), reader.say(got)
		if diff := cmp.Diff(want, have, sameFold); diff != "" {
			rt.Fatalf("snapshot after %d of %d records, and the rest (-replay +got):\n%s", cut, len(all), diff)
		}
		for id, c := range want.Changes {
			sameBytes(rt, c, have.Changes[id])
		}
		for id, r := range want.Rollbacks {
			sameBytes(rt, r, have.Rollbacks[id])
		}
	})
}

func sameBytes(rt *rapid.T, a, b any) {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	if err != nil || err2 != nil || string(x) != string(y) {
		rt.Fatalf("%v, %v, want the first, got the second:\n%s\n%s", err, err2, x, y)
	}
}

// TestFoldsAreThoseOfTheSchema: a recorded log, with every kind of event in it,
// still folds to what it folded to when foldSchema got its number.
func TestFoldsAreThoseOfTheSchema(t *testing.T) {
	logFile, golden := filepath.Join("testdata", "fold.jsonl"), filepath.Join("testdata", "fold.golden")
	was, _ := os.ReadFile(golden)
	head, _, _ := strings.Cut(string(was), "\n")
	if all := readLogged(t, logFile); len(all) > 0 && head == fmt.Sprint("schema ", foldSchema) && describeFold(t, all) != string(was) {
		t.Fatalf("the folds make another state of %s than snapshots of schema %d hold: raise foldSchema, then write the files again with -update", logFile, foldSchema)
	}
	if *updateFold {
		var text strings.Builder
		for _, l := range (filler{rand.New(rand.NewPCG(1, foldSchema))}).history(400) {
			data, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(data, '\n'))
		}
		writeFile(t, logFile, text.String())
		writeFile(t, golden, describeFold(t, readLogged(t, logFile)))
		return
	}
	all := readLogged(t, logFile)
	if describeFold(t, all) != string(was) {
		t.Errorf("%s is not of schema %d: write it again with -update", golden, foldSchema)
	}
	missing := map[string]bool{}
	for _, e := range backout.Events() {
		missing[e.Kind()] = true
	}
	for _, l := range all {
		for _, e := range l.Entry.Record.Events {
			delete(missing, e.Kind())
		}
	}
	if len(missing) > 0 {
		t.Errorf("%s has no event of the kinds %v: write it again with -update", logFile, missing)
	}
}

func readLogged(t *testing.T, path string) []logged {
	t.Helper()
	data, _ := os.ReadFile(path)
	var all []logged
	for line := range strings.Lines(string(data)) {
		var l logged
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

func describeFold(t *testing.T, all []logged) string {
	t.Helper()
	e, f := foldEngine(), newFolded()
	e.fold(&f, all)
	s := e.say(f)
	data, err := json.MarshalIndent([]any{s.Changes, s.Rollbacks}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	verdicts := 0
	for _, known := range s.Verdicts {
		verdicts += len(known)
	}
	return fmt.Sprintf("schema %d\nverdicts remembered: %d\n%s\n", foldSchema, verdicts, data)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
