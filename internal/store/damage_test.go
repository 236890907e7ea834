package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// damaged is the directory of a stopped store with two blocks of records, and
// what can be done to it.
type damaged struct {
	t   *testing.T
	dir string
}

const (
	damagedIDs     = 40
	damagedRecords = 400
)

// fillForDamage writes 400 records of 30 KiB for 40 changes, with its marks.
func fillForDamage(t *testing.T, dir string) {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: dir, Bulk: true})
	if err != nil {
		t.Fatal(err)
	}
	marks, _ := b.Marks()
	s, err := store.Open(t.Context(), store.Options{JS: b.JetStream(), Server: "one", Marks: marks})
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]uint64{}
	for i := range damagedRecords {
		id := fmt.Sprintf("CHG%d", i%damagedIDs)
		rec := record(fmt.Sprint(i))
		rec.Events = []backout.Event{backout.Resumed{By: strings.Repeat("x", 30<<10)}}
		if last[id], err = s.Changes.Append(t.Context(), id, last[id], rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
}

func (d damaged) stream(parts ...string) string {
	return filepath.Join(append([]string{d.dir, "jetstream", "$G", "streams", "BACKOUT_CHANGES"}, parts...)...)
}

// block is the first or the last block's file.
func (d damaged) block(last bool) string {
	d.t.Helper()
	files, err := filepath.Glob(d.stream("msgs", "*.blk"))
	if err != nil || len(files) < 2 {
		d.t.Fatalf("blocks %v, %v, want two at least", files, err)
	}
	slices.SortFunc(files, func(a, b string) int { return len(a) - len(b) })
	if last {
		return files[len(files)-1]
	}
	return files[0]
}

func (d damaged) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// noIndex is what a crash leaves: the index is written at a stop only.
func (d damaged) noIndex() { d.check(os.Remove(d.stream("msgs", "index.db"))) }

func (d damaged) flip(file string, at func(size int64) int64) {
	d.t.Helper()
	data, err := os.ReadFile(file)
	d.check(err)
	data[at(int64(len(data)))] ^= 0x10
	d.check(os.WriteFile(file, data, 0o600))
}

func (d damaged) cut(file string, n int64) {
	d.t.Helper()
	info, err := os.Stat(file)
	d.check(err)
	d.check(os.Truncate(file, info.Size()-n))
}

func (d damaged) add(file string, data []byte) {
	d.t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	d.check(err)
	_, err = f.Write(data)
	d.check(errors.Join(err, f.Close()))
}

func middle(size int64) int64 { return size / 2 }

// open opens the store and reads everything, as a server does that starts.
func (d damaged) open() (ops []string, err error) {
	b, err := bus.Open(d.t.Context(), bus.Options{DataDir: d.dir})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	marks, _ := b.Marks()
	s, err := store.Open(d.t.Context(), store.Options{JS: b.JetStream(), Server: "one", Marks: marks})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	err = s.Changes.Follow(ctx, 0, func(e store.Entry) error {
		ops = append(ops, e.Record.Op)
		return nil
	}, cancel)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return ops, err
}

// TestDamage: whatever happens to the files of a stopped store, it is refused in
// words that say what is lost and what to do, or nothing is lost.
func TestDamage(t *testing.T) {
	whole := t.TempDir()
	fillForDamage(t, whole)
	const log, backup = "BACKOUT_CHANGES", "backup"
	lost := []string{log, "lost", backup}
	tests := []struct {
		name string
		do   func(d damaged)
		// want is what the refusal tells; nil means that nothing is lost.
		want []string
	}{
		{"nothing", func(damaged) {}, nil},
		{"no index", func(d damaged) { d.noIndex() }, nil},
		{"a flipped index", func(d damaged) { d.flip(d.stream("msgs", "index.db"), middle) }, nil},
		{"zeros behind the end", func(d damaged) { d.noIndex(); d.add(d.block(true), make([]byte, 4096)) }, nil},
		{"a torn write behind the end", func(d damaged) { d.noIndex(); d.torn() }, nil},
		{"a cut last record", func(d damaged) { d.noIndex(); d.cut(d.block(true), 100) }, lost},
		{"a cut end", func(d damaged) { d.noIndex(); d.cut(d.block(true), 200<<10) }, lost},
		{"a cut end beside its index", func(d damaged) { d.cut(d.block(true), 200<<10) }, lost},
		{"a bit in the first block", func(d damaged) { d.noIndex(); d.flip(d.block(false), middle) }, lost},
		{"a bit in the first block beside its index", func(d damaged) { d.flip(d.block(false), middle) }, lost},
		{"a bit in the last block", func(d damaged) { d.noIndex(); d.flip(d.block(true), middle) }, lost},
		{"a bit in the last block beside its index", func(d damaged) { d.flip(d.block(true), middle) }, lost},
		{"a bit in the last record beside its index", func(d damaged) { d.flip(d.block(true), func(n int64) int64 { return n - 1000 }) }, lost},
		{"a missing first block", func(d damaged) { d.check(os.Remove(d.block(false))) }, lost},
		{"a missing last block", func(d damaged) { d.noIndex(); d.check(os.Remove(d.block(true))) }, lost},
		{"a missing last block beside its index", func(d damaged) { d.check(os.Remove(d.block(true))) }, lost},
		{"no blocks", func(d damaged) { d.check(os.RemoveAll(d.stream("msgs"))) }, lost},
		{"no meta.inf", func(d damaged) { d.check(os.Remove(d.stream("meta.inf"))) }, []string{log, backup}},
		{"an empty meta.inf", func(d damaged) { d.check(os.Truncate(d.stream("meta.inf"), 0)) }, []string{log, backup}},
		{"a flipped meta.inf", func(d damaged) { d.flip(d.stream("meta.inf"), middle) }, []string{log, backup}},
		{"no meta.sum", func(d damaged) { d.check(os.Remove(d.stream("meta.sum"))) }, []string{log, backup}},
		{"no directory of the stream", func(d damaged) { d.check(os.RemoveAll(d.stream())) }, []string{log, backup}},
		{"no streams at all", func(d damaged) { d.check(os.RemoveAll(filepath.Join(d.dir, "jetstream"))) }, []string{"lost", backup}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := damaged{t: t, dir: filepath.Join(t.TempDir(), "data")}
			d.check(os.CopyFS(d.dir, os.DirFS(whole)))
			tt.do(d)
			ops, err := d.open()
			if tt.want != nil {
				wantError(t, "opening", err, tt.want...)
				return
			}
			if err != nil || len(ops) != damagedRecords || ops[damagedRecords-1] != fmt.Sprint(damagedRecords-1) {
				t.Errorf("%d records, %v, want all %d", len(ops), err, damagedRecords)
			}
		})
	}
}

// TestUnreadableLastRecordIsMissed: the history of one id must not look shorter
// than it is, or somebody would go on from a state that was left long ago.
func TestUnreadableLastRecordIsMissed(t *testing.T) {
	d := damaged{t: t, dir: t.TempDir()}
	fillForDamage(t, d.dir)
	d.flip(d.block(true), func(size int64) int64 { return size - 1000 })
	s := open(t, bustest.StartIn(t, d.dir).JetStream())
	_, err := s.Changes.Load(t.Context(), "CHG39")
	wantError(t, "Load", err, "CHG39", "lost", "backup")
	if got := mustLoad(t, s.Changes, "CHG38"); len(got) != damagedRecords/damagedIDs {
		t.Errorf("%d records of an id that is whole", len(got))
	}
}

// TestMarksOutliveRebuiltIndexes: what was replaced or purged leaves the end of
// its stream where it was, also when a crash makes NATS read it anew.
func TestMarksOutliveRebuiltIndexes(t *testing.T) {
	dir := t.TempDir()
	run := func() {
		t.Helper()
		b, err := bus.Open(t.Context(), bus.Options{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		marks, _ := b.Marks()
		s, err := store.Open(t.Context(), store.Options{JS: b.JetStream(), Server: "one", Marks: marks})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			err = errors.Join(err, s.Control.SetPause(t.Context(), store.PauseState{On: i == 1}), s.Artifacts.PutOutput(t.Context(), "a1", []byte(fmt.Sprint(i))))
		}
		stream, e := b.JetStream().Stream(t.Context(), "OBJ_BACKOUT_ARTIFACTS")
		if e == nil {
			e = stream.Purge(t.Context()) // nothing is left but the end
		}
		if err = errors.Join(err, e, s.Close(), b.Close()); err != nil {
			t.Fatal(err)
		}
	}
	run()
	indexes, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", "*", "msgs", "index.db"))
	if err != nil || len(indexes) < 7 {
		t.Fatalf("%v, %v", indexes, err)
	}
	for _, file := range indexes {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	run()
}

// torn writes the beginning of a record, as a power cut in the middle of a write
// leaves it: the record was never acknowledged.
func (d damaged) torn() {
	d.t.Helper()
	data, err := os.ReadFile(d.block(true))
	d.check(err)
	d.add(d.block(true), data[:1000])
}
