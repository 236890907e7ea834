package store

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/backup"
)

// headerStored tells when a message was stored first; a restore adds it, because
// NATS stamps what it stores with the time of the restore.
const headerStored = "Backout-Stored"

// storedAt returns when a message was stored, by its header or else as NATS says.
func storedAt(h nats.Header, stamped time.Time) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, h.Get(headerStored)); err == nil {
		return at
	}
	return stamped.UTC()
}

func isLog(stream string) bool { return stream == changesStream || stream == rollbacksStream }

// inspector checks the messages of a backup as they pass by, in order: each can be
// read by this release and lies where its stream keeps such things, no log has a
// hole, and every object is whole. A backup may be anybody's file, and a restore
// publishes what it holds with the rights of a server.
type inspector struct {
	subjects map[string][]string  // of each stream
	due      map[string]uint64    // the next sequence of each log
	last     map[string]uint64    // the last sequence of each subject of a log
	objects  map[string]hash.Hash // what came of each object, by its id
	// largest is the size of the largest message, in bytes.
	largest int
}

func newInspector() *inspector {
	subjects := map[string][]string{}
	for _, cfg := range streamConfigs(0, 0, 0) {
		subjects[cfg.Name] = cfg.Subjects
	}
	return &inspector{subjects: subjects, due: map[string]uint64{}, last: map[string]uint64{}, objects: map[string]hash.Hash{}}
}

func (v *inspector) take(stream string, m backup.Message) error {
	v.largest = max(v.largest, len(m.Data))
	if err := v.inspect(stream, m); err != nil {
		return fmt.Errorf("%s at %d: %w", stream, m.Seq, err)
	}
	return nil
}

func (v *inspector) inspect(stream string, m backup.Message) error {
	patterns, known := v.subjects[stream]
	if known && !slices.ContainsFunc(patterns, func(p string) bool { return matches(p, m.Subject) }) {
		return fmt.Errorf("subject %q is none of this stream: somebody has made this file, do not use it", m.Subject)
	}
	switch stream {
	case changesStream, rollbacksStream:
		return v.record(stream, m)
	case alertsStream:
		_, err := readBatch(m.Data)
		return err
	case noticesStream:
		_, err := readNotice(m.Subject, m.Data, m.Time)
		return err
	case receiptsStream:
		if !json.Valid(m.Data) {
			return errors.New("it is not JSON")
		}
		return nil
	case artifactsStream:
		return v.object(m)
	case controlStream:
		return nil
	}
	return errors.New("this release has no such stream: use the release that wrote it, or a newer one")
}

func (v *inspector) record(stream string, m backup.Message) error {
	if m.Seq != v.due[stream]+1 {
		return fmt.Errorf("records are missing: %d is the one before", v.due[stream])
	}
	v.due[stream] = m.Seq
	if prev := follows(m.Header); prev != v.last[m.Subject] {
		return fmt.Errorf("records of %s are missing: it follows %d, but %d is the last one there", m.Subject, prev, v.last[m.Subject])
	}
	v.last[m.Subject] = m.Seq
	var rec backout.Record
	return json.Unmarshal(m.Data, &rec)
}

func (v *inspector) object(m backup.Message) error {
	if id, ok := strings.CutPrefix(m.Subject, piecesPrefix); ok {
		if v.objects[id] == nil {
			v.objects[id] = sha256.New()
		}
		_, _ = v.objects[id].Write(m.Data) // never fails
		return nil
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return fmt.Errorf("read object: %w", err)
	}
	sum := v.objects[info.NUID]
	if sum == nil {
		sum = sha256.New()
	}
	if !info.Deleted && info.Digest != jetstream.GetObjectDigestValue(sum) {
		return fmt.Errorf("artifact %s is not whole", info.Name)
	}
	delete(v.objects, info.NUID)
	return nil
}

// Checked is a backup that was read from its first to its last byte.
type Checked struct {
	backup.Contents
	// Largest is the size of its largest message, in bytes.
	Largest int `json:"largest"`
}

// CheckBackup reads a whole backup and returns what it holds, or why it is not to
// be used. It needs no store.
func CheckBackup(r io.Reader) (Checked, error) {
	v := newInspector()
	contents, err := backup.Read(r, v.take)
	if err != nil {
		return Checked{}, fmt.Errorf("check backup: %w", err)
	}
	return Checked{contents, v.largest}, nil
}

// tally tells whether two stores hold the same: a digest of every document, and
// of all messages of every other subject in their order.
type tally map[string][sha256.Size]byte

func (t tally) add(stream string, m backup.Message) {
	key := stream + " " + m.Subject
	sum := sha256.New()
	header := nats.Header(m.Header)
	if before, ok := t[key]; ok && stream != controlStream && stream != receiptsStream && header.Get(jetstream.MsgRollup) == "" {
		_, _ = sum.Write(before[:]) // never fails
	}
	if isLog(stream) {
		_, _ = fmt.Fprintln(sum, m.Seq)
	}
	_, _ = fmt.Fprintln(sum, m.Time.UnixNano(), len(m.Data))
	_, _ = sum.Write(m.Data)
	for _, name := range keptHeaders(stream, header) {
		_, _ = fmt.Fprintf(sum, "%q%q\n", name, header[name])
	}
	t[key] = [sha256.Size]byte(sum.Sum(nil))
}

// keptHeaders are the headers that a restore keeps, sorted: an identity counts for
// the window of duplicates only, and the sequences that a message was to follow
// are the old ones, except in a log.
func keptHeaders(stream string, h nats.Header) []string {
	var names []string
	for name := range h {
		guard := name == jetstream.ExpectedLastSeqHeader || name == jetstream.ExpectedLastSubjSeqHeader
		if name != jetstream.MsgIDHeader && name != headerStored && (!guard || isLog(stream)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
