package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/backup"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

func takeBackup(t testing.TB, s *store.Store) []byte {
	t.Helper()
	var out bytes.Buffer
	wrote, err := s.Backup(t.Context(), &out, "1.0")
	if err != nil {
		t.Fatal(err)
	}
	read, err := store.CheckBackup(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wrote, read); diff != "" {
		t.Errorf("what the backup holds (-written +read):\n%s", diff)
	}
	return out.Bytes()
}

// fillFrom restores into js, up to Finish.
func fillFrom(ctx context.Context, js jetstream.JetStream, data []byte) (*store.Restored, error) {
	checked, err := store.CheckBackup(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return store.Restore(ctx, store.Options{JS: js, Server: "two"}, checked, bytes.NewReader(data))
}

func finish(t testing.TB, r *store.Restored, js jetstream.JetStream) {
	t.Helper()
	s, err := r.Open(t.Context(), store.Options{JS: js, Server: "two"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Finish(t.Context(), s, store.PauseState{On: true, Reason: "restored"}), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// restoreHere restores into a new embedded store, as the command does.
func restoreHere(t testing.TB, data []byte) *store.Store {
	t.Helper()
	dir := t.TempDir()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: dir, Bulk: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := fillFrom(t.Context(), b.JetStream(), data)
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	js := bustest.StartIn(t, dir).JetStream()
	finish(t, r, js)
	return open(t, js)
}

// content is what a backup holds, without what a restore may change: the
// sequences of what is no log, identities, and the restore's own documents.
func content(t testing.TB, data []byte) map[string][]backup.Message {
	t.Helper()
	out := map[string][]backup.Message{}
	_, err := backup.Read(bytes.NewReader(data), func(stream string, m backup.Message) error {
		delete(m.Header, "Nats-Msg-Id")
		delete(m.Header, "Backout-Stored")
		if !strings.HasPrefix(m.Subject, "backout.changes") && !strings.HasPrefix(m.Subject, "backout.rollbacks") {
			m.Seq = 0
			delete(m.Header, "Nats-Expected-Last-Subject-Sequence")
		}
		if !slices.Contains([]string{"$KV.BACKOUT_CONTROL.pause", "$KV.BACKOUT_CONTROL.restore", "$KV.BACKOUT_CONTROL.marks"}, m.Subject) {
			out[stream] = append(out[stream], m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// populate puts something of every kind into the store.
func populate(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	last := map[string]uint64{}
	for i := range 60 {
		id := fmt.Sprintf("CHG.%d", i%7)
		last[id] = mustAppend(t, s.Changes, id, last[id], fmt.Sprint("c", i))
		id += "-r1"
		last[id] = mustAppend(t, s.Rollbacks, id, last[id], fmt.Sprint("r", i))
	}
	guarded, err := s.Changes.AppendGuarded(ctx, "CHG.0", last["CHG.0"], 60, record("guarded"))
	if err != nil || guarded != 61 {
		t.Fatalf("%d, %v", guarded, err)
	}
	for i := range 20 {
		_, e := s.Alerts.Append(ctx, post(i))
		_, e2 := s.Control.Put(ctx, fmt.Sprint("key", i), []byte(fmt.Sprint(i)), 0)
		_, e3 := s.Artifacts.Put(ctx, []byte(strings.Repeat(fmt.Sprint(i), 1000)))
		err = errors.Join(err, e, e2, e3, s.Artifacts.PutOutput(ctx, "a1", []byte(fmt.Sprint("out", i))))
	}
	if err := errors.Join(err, s.Control.SetPause(ctx, store.PauseState{By: "ann", Reason: "over"})); err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"told", "deaf", "gone"} {
		for i := range 5 {
			put(t, s.Outbox, channel, fmt.Sprint("n", i))
		}
	}
	consumeSome(t, s, "told", 3, nil)
	consumeSome(t, s, "gone", 2, backout.Permanent(errors.New("no such channel")))
}

// consumeSome lets n notices of the channel be tried, and ends.
func consumeSome(t *testing.T, s *store.Store, channel string, n int, answer error) (ids []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_ = s.Outbox.Consume(ctx, channel, func(ctx context.Context, n2 backout.Notice) (backout.Receipt, error) {
		if len(ids) == n {
			cancel()
			<-ctx.Done()
			return backout.Receipt{}, ctx.Err()
		}
		ids = append(ids, n2.ID)
		return backout.Receipt{Ref: n2.ID}, answer
	})
	if len(ids) != n {
		t.Fatalf("%d notices of %s were tried, want %d", len(ids), channel, n)
	}
	return ids
}

func TestBackupAndRestore(t *testing.T) {
	s := start(t)
	populate(t, s)
	data := takeBackup(t, s)
	again := restoreHere(t, data)
	same(t, s, again, data)
}

// same checks that a restored store holds what the backed-up one did, and goes on
// with it.
func same(t *testing.T, s, again *store.Store, data []byte) {
	t.Helper()
	ctx := t.Context()
	if diff := cmp.Diff(content(t, data), content(t, takeBackup(t, again))); diff != "" {
		t.Errorf("a backup of the restored store differs (-first +second):\n%s", diff)
	}
	for _, id := range []string{"CHG.0", "CHG.6"} {
		if diff := cmp.Diff(mustLoad(t, s.Changes, id), mustLoad(t, again.Changes, id)); diff != "" {
			t.Errorf("history of %s (-before +after):\n%s", id, diff)
		}
	}
	for what, list := range map[string]func(*store.Outbox) ([]store.Pending, error){
		"waiting":  func(o *store.Outbox) ([]store.Pending, error) { return o.Waiting(ctx) },
		"given up": func(o *store.Outbox) ([]store.Pending, error) { return o.GivenUp(ctx) },
	} {
		want, err := list(s.Outbox)
		got, err2 := list(again.Outbox)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		order := func(list []store.Pending) {
			slices.SortFunc(list, func(a, b store.Pending) int { return strings.Compare(a.Channel+a.Notice.ID, b.Channel+b.Notice.ID) })
		}
		order(want)
		order(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("notices %s (-before +after):\n%s", what, diff)
		}
	}
	put(t, again.Outbox, "told", "n5") // comes after them
	if got := consumeSome(t, again, "told", 2, nil); !slices.Equal(got, []string{"n3", "n4"}) {
		t.Errorf("delivered %v, want those that had not been", got)
	}
	if out, err := again.Artifacts.GetOutput(ctx, "a1"); err != nil || string(out) != "out19" {
		t.Errorf("output %q, %v", out, err)
	}
	if doc, err := again.Control.Get(ctx, "key7"); err != nil || string(doc.Value) != "7" {
		t.Errorf("document %q, %v", doc.Value, err)
	}
	if p, err := again.Control.Pause(ctx); err != nil || !p.On || p.Reason != "restored" {
		t.Errorf("Pause = %+v, %v", p, err)
	}
	if got := storedPosts(t, again); len(got) != 20 {
		t.Errorf("%d posts, want 20", len(got))
	}
	if seq := mustAppend(t, again.Changes, "CHG.0", 61, "after the restore"); seq != 62 {
		t.Errorf("the next record is %d, want 62", seq)
	}
}

// TestRestoredPostsKeepTheirTime: what was stored long ago does not come back as
// news.
func TestRestoredPostsKeepTheirTime(t *testing.T) {
	s := start(t)
	if _, err := s.Alerts.Append(t.Context(), post(1)); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	again := restoreHere(t, takeBackup(t, s))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := again.Alerts.Follow(ctx, since, func(pos store.Position, _ bool, _ store.Post) error {
		return fmt.Errorf("the post at %v is older", pos)
	}, cancel)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRestoreWantsAnEmptyStore(t *testing.T) {
	s := start(t)
	populate(t, s)
	data := takeBackup(t, s)
	js := bustest.Start(t).JetStream()
	other := open(t, js)
	mustAppend(t, other.Changes, "CHG9", 0, "a")
	_, err := fillFrom(t.Context(), js, data)
	wantError(t, "Restore", err, "empty store only", "BACKOUT_CHANGES with 1 message")
	if got := mustLoad(t, other.Changes, "CHG9"); len(got) != 1 {
		t.Errorf("it holds %v", got)
	}
	dir := t.TempDir()
	fillForDamage(t, dir)
	_, err = bus.Open(t.Context(), bus.Options{DataDir: dir, Bulk: true})
	wantError(t, "Open", err, dir, "holds a store already", "BACKOUT_CHANGES")
	if err := bustest.StartIn(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

// TestUnfinishedRestoreIsRefused: wherever a restore ends early.
func TestUnfinishedRestoreIsRefused(t *testing.T) {
	s := start(t)
	populate(t, s)
	data := takeBackup(t, s)
	t.Run("filled, not finished", func(t *testing.T) {
		js := bustest.Start(t).JetStream()
		if _, err := fillFrom(t.Context(), js, data); err != nil {
			t.Fatal(err)
		}
		_, err := store.Open(t.Context(), store.Options{JS: js, Server: "one"})
		wantError(t, "Open", err, "was not finished", "empty store again")
	})
	t.Run("ended in the middle", func(t *testing.T) {
		js := bustest.Start(t).JetStream()
		checked, err := store.CheckBackup(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		_, err = store.Restore(t.Context(), store.Options{JS: js, Server: "two"}, checked, bytes.NewReader(data[:len(data)*2/3]))
		if !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("Restore of a cut file: %v", err)
		}
		_, err = store.Open(t.Context(), store.Options{JS: js, Server: "one"})
		wantError(t, "Open", err, "was not finished", "empty store again")
	})
	t.Run("before anything was synced", func(t *testing.T) {
		dir := t.TempDir()
		b, err := bus.Open(t.Context(), bus.Options{DataDir: dir, Bulk: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		if _, err := fillFrom(t.Context(), b.JetStream(), data); err != nil {
			t.Fatal(err)
		}
		// What a power cut leaves is at least the marker.
		cut := t.TempDir()
		marker, err := os.ReadFile(filepath.Join(dir, "backout-store.json"))
		if err == nil {
			err = os.WriteFile(filepath.Join(cut, "backout-store.json"), marker, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = bus.Open(t.Context(), bus.Options{DataDir: cut})
		wantError(t, "Open", err, cut, "not finished", "empty directory again")
	})
}

// TestMissingMessageIsFoundAfterTheRestore: the comparison reads what NATS has.
func TestMissingMessageIsFoundAfterTheRestore(t *testing.T) {
	s := start(t)
	populate(t, s)
	js := bustest.Start(t).JetStream()
	r, err := fillFrom(t.Context(), js, takeBackup(t, s))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "BACKOUT_ALERTS")
	if err == nil {
		err = stream.Purge(t.Context(), jetstream.WithPurgeSequence(2))
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Open(t.Context(), store.Options{JS: js, Server: "two"})
	wantError(t, "Open", err, "does not hold what the backup does")
}

// TestBackupFindsDamage: a damaged store is not copied as if it were whole.
func TestBackupFindsDamage(t *testing.T) {
	for name, damage := range map[string]func(s *store.Store, js jetstream.JetStream) error{
		"a lost record": func(_ *store.Store, js jetstream.JetStream) error {
			stream, err := js.Stream(t.Context(), "BACKOUT_ROLLBACKS")
			if err != nil {
				return err
			}
			return stream.Purge(t.Context(), jetstream.WithPurgeSequence(2))
		},
		"a record of a newer release": func(_ *store.Store, js jetstream.JetStream) error {
			_, err := js.Publish(t.Context(), "backout.changes.CHG9", []byte(`{"v":99,"op":"x","at":"2026-03-01T02:00:00Z","events":[]}`))
			return err
		},
		"a record that follows none": func(_ *store.Store, js jetstream.JetStream) error {
			_, err := js.Publish(t.Context(), "backout.changes.CHG=2E0", []byte(`{"v":1,"op":"x","at":"2026-03-01T02:00:00Z","events":[]}`))
			return err
		},
		"a lost piece of an artifact": func(_ *store.Store, js jetstream.JetStream) error {
			stream, err := js.Stream(t.Context(), "OBJ_BACKOUT_ARTIFACTS")
			if err != nil {
				return err
			}
			return stream.Purge(t.Context(), jetstream.WithPurgeSequence(2))
		},
		"a changed post": func(_ *store.Store, js jetstream.JetStream) error {
			_, err := js.Publish(t.Context(), "backout.alerts", []byte{1, 2, 3})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			js := bustest.Start(t).JetStream()
			s := open(t, js)
			populate(t, s)
			if err := damage(s, js); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			_, err := s.Backup(t.Context(), &out, "1.0")
			wantError(t, "Backup", err, "damaged", "BACKOUT_")
			if _, err := store.CheckBackup(bytes.NewReader(out.Bytes())); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("what was written by then: %v, want ErrDamaged", err)
			}
		})
	}
}

// TestBackupMissesNothingThatCannotBeRead: JetStream leaves out what does not match
// its checksum; the copy must not.
func TestBackupMissesNothingThatCannotBeRead(t *testing.T) {
	whole := t.TempDir()
	b := bustest.StartIn(t, whole)
	s := open(t, b.JetStream())
	populate(t, s)
	if err := errors.Join(s.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{
		"BACKOUT_ALERTS", "BACKOUT_CHANGES", "BACKOUT_ROLLBACKS", "BACKOUT_NOTICES", "KV_BACKOUT_CONTROL", "KV_BACKOUT_RECEIPTS", "OBJ_BACKOUT_ARTIFACTS",
	} {
		t.Run(stream, func(t *testing.T) {
			d := damaged{t: t, dir: filepath.Join(t.TempDir(), "data")}
			d.check(os.CopyFS(d.dir, os.DirFS(whole)))
			blocks, err := filepath.Glob(filepath.Join(d.dir, "jetstream", "$G", "streams", stream, "msgs", "*.blk"))
			d.check(err)
			d.flip(blocks[len(blocks)-1], func(size int64) int64 {
				if stream == "OBJ_BACKOUT_ARTIFACTS" {
					return 60 // the first piece; what was purged stands at the end
				}
				return size - 12
			})
			s := open(t, bustest.StartIn(t, d.dir).JetStream())
			_, err = s.Backup(t.Context(), io.Discard, "1.0")
			wantError(t, "Backup", err, "damaged", stream, "backup")
		})
	}
}

// TestCutIsOneMoment: what the logs say is only taken together when the first one
// stood still meanwhile.
func TestCutIsOneMoment(t *testing.T) {
	says := func(list ...uint64) func() (uint64, error) {
		return func() (uint64, error) {
			if len(list) == 0 {
				return 0, errors.New("asked too often")
			}
			next := list[0]
			list = list[1:]
			return next, nil
		}
	}
	if c, r, err := store.Cut(says(3, 4, 6, 6), says(10, 11, 12)); c != 6 || r != 12 || err != nil {
		t.Errorf("cut at %d and %d, %v, want 6 and 12", c, r, err)
	}
	n := uint64(0)
	moving := func() (uint64, error) { n++; return n, nil }
	if _, _, err := store.Cut(moving, moving); !errors.Is(err, backout.ErrUnavailable) {
		t.Errorf("logs that never stand still: %v", err)
	}
}

// TestHotBackupIsOneMoment: while writers go on, each of which touches one stream
// after the other as the server does, no copy has an effect without its cause.
func TestHotBackupIsOneMoment(t *testing.T) {
	s := start(t)
	last := uint64(0)
	for range 8 { // pieces of the copy, with a rollback between any two
		noise := make([]byte, 64<<10)
		_, _ = rand.Read(noise)
		rec := record(rand.Text())
		rec.Events = []backout.Event{backout.Resumed{By: base64.StdEncoding.EncodeToString(noise)}}
		var err error
		if last, err = s.Changes.Append(t.Context(), "CHG", last, rec); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var writers sync.WaitGroup
	for w := range hotWriters {
		writers.Go(func() { writeLikeAServer(ctx, t, s, w, ended) })
	}
	defer writers.Wait()
	defer stop()
	for range 5 {
		var out bytes.Buffer
		if _, err := s.Backup(t.Context(), &awaiting{&out, ended}, "1.0"); err != nil {
			t.Fatal(err)
		}
		consistent(t, content(t, out.Bytes()))
	}
	stop()
	writers.Wait()
	data := takeBackup(t, s)
	consistent(t, content(t, data))
	restoreHere(t, data)
}

// hotWriters is how many write while a copy is made.
const hotWriters = 4

// awaiting lets a rollback come to its end before every write.
type awaiting struct {
	w     io.Writer
	ended chan struct{}
}

func (a *awaiting) Write(p []byte) (int, error) {
	for range hotWriters + 1 { // one of each writer may be an old one
		<-a.ended
	}
	return a.w.Write(p)
}

// writeLikeAServer asks for a rollback, begins it, ends it, and tells the change;
// after each record its notice is queued, then the position noted, then the
// notice delivered.
func writeLikeAServer(ctx context.Context, t *testing.T, s *store.Store, w int, ended chan<- struct{}) {
	position := uint64(0)
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprintf("CHG%d-%d", w, i)
		var last uint64
		step := func(log *store.Log, after uint64, op string) uint64 {
			seq, err := log.Append(t.Context(), id, after, record(op))
			n := fmt.Sprintf("%s.%s", id, op)
			err = errors.Join(err, s.Outbox.Put(t.Context(), "hook", backout.Notice{ID: n}))
			if err == nil {
				position, err = s.Control.Put(t.Context(), fmt.Sprint("relay", w), []byte(n), position)
			}
			if err != nil {
				t.Errorf("write: %v", err)
			}
			return seq
		}
		asked := step(s.Changes, 0, "asked")
		last = step(s.Rollbacks, 0, "opened")
		step(s.Rollbacks, last, "ended")
		step(s.Changes, asked, "told")
		select { // no more than the copy waits for: else it grows faster than it is copied
		case ended <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

// consistent checks that everything in the copy has its cause there: what came
// before it.
func consistent(t *testing.T, copied map[string][]backup.Message) {
	t.Helper()
	have := map[string]bool{}
	for _, stream := range []string{"BACKOUT_CHANGES", "BACKOUT_ROLLBACKS"} {
		for _, m := range copied[stream] {
			var rec backout.Record
			if err := rec.UnmarshalJSON(m.Data); err != nil {
				t.Fatal(err)
			}
			have[m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]+"."+rec.Op] = true
		}
	}
	before := map[string]string{"opened": "asked", "ended": "opened", "told": "ended"}
	for what := range have {
		id, op, _ := strings.Cut(what, ".")
		if cause := before[op]; cause != "" && !have[id+"."+cause] {
			t.Errorf("the copy has %s without %s", what, cause)
		}
	}
	queued := map[string]bool{}
	for _, m := range copied["BACKOUT_NOTICES"] {
		_, id, _ := strings.Cut(string(m.Data), `"id":"`)
		id, _, _ = strings.Cut(id, `"`)
		queued[id] = true
		if !have[id] {
			t.Errorf("the copy has a notice of %s, which is not in its logs", id)
		}
	}
	for _, m := range copied["KV_BACKOUT_CONTROL"] {
		if id := string(m.Data); strings.Contains(m.Subject, "relay") && !queued[id] {
			t.Errorf("the copy says that the notice of %s is queued, and it is not", id)
		}
	}
}
