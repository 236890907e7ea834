package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// advice is what to do about a store that lost something.
const advice = "nothing is done on it: restore the store from a backup (backout restore, docs/backup.md)"

const (
	// marksEvery is how often the marks are stored while they move.
	marksEvery = 10 * time.Second
	// A leader that has just been elected may still be catching up: a stream with
	// copies is asked this often, after this long, before its end counts as lost.
	marksTries = 10
	marksPause = time.Second
)

// Marks keep how far each stream is known to reach, by its name. JetStream
// forgets a lost end of a stream in silence; the marks do not.
type Marks interface {
	// Load returns what was saved last, nothing when nothing was.
	Load(ctx context.Context) (map[string]uint64, error)
	// Save replaces it, atomically.
	Save(ctx context.Context, marks map[string]uint64) error
}

// whole checks that a log holds every record since its first: nothing in it is
// ever deleted or expires, so a sequence without a record is a lost one.
func whole(name string, state jetstream.StreamState) error {
	if state.LastSeq == state.Msgs && (state.Msgs == 0 || state.FirstSeq == 1) {
		return nil
	}
	return fmt.Errorf("stream %s has lost %d of its %d records (it begins at %d): %s", name, state.LastSeq-min(state.Msgs, state.LastSeq), state.LastSeq, state.FirstSeq, advice)
}

// decides tells whether what a rollback does next hangs on the stream. The end of
// any other may be lost, as when all disks of a cluster lose power at once, without
// anything being done that the logs do not say.
func decides(name string) bool { return isLog(name) || name == controlStream }

// lost says what is missing for people when a stream has lost its end.
var lost = map[string]string{
	alertsStream:    "alerts that came then are not known after a restart: those that still fire come again",
	noticesStream:   "people may not have been told what was to be delivered then",
	receiptsStream:  "notices that were delivered then may be delivered again",
	artifactsStream: "output of steps that ended then",
}

// reaches checks that a stream holds what is known to have been stored.
func reaches(name string, state jetstream.StreamState, mark uint64) error {
	if state.LastSeq >= mark {
		return nil
	}
	return fmt.Errorf("stream %s ends at %d, but %d was stored: the last %d messages are lost: %s", name, state.LastSeq, mark, mark-state.LastSeq, advice)
}

// intact checks every stream against its mark, and the logs for holes. It returns
// the marks. The lost end of a stream that decides nothing is said to people; the
// mark follows when the marks are saved next.
func intact(ctx context.Context, streams map[string]jetstream.Stream, keep Marks, log *slog.Logger) (map[string]uint64, error) {
	marks := map[string]uint64{}
	if keep != nil {
		known, err := keep.Load(ctx)
		if err != nil {
			return nil, fmt.Errorf("read how far the streams reach: %w", err)
		}
		maps.Copy(marks, known)
	}
	for name, stream := range streams {
		state := stream.CachedInfo().State
		err := reaches(name, state, marks[name])
		for try := 1; err != nil && stream.CachedInfo().Config.Replicas > 1 && try < marksTries && sleep(ctx, marksPause); try++ {
			info, again := stream.Info(ctx)
			if again != nil {
				return nil, fmt.Errorf("look at stream %s: %w", name, passing(again))
			}
			state = info.State
			err = reaches(name, state, marks[name])
		}
		if err == nil && isLog(name) {
			err = whole(name, state)
		}
		if err != nil && !decides(name) {
			log.Warn("a stream has lost its end; both logs are whole, so the store is used", "stream", name,
				"messages", marks[name]-state.LastSeq, "ends_at", state.LastSeq, "stored", marks[name], "lost", lost[name])
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	return marks, nil
}

// watchMarks saves the marks while they move, until ctx ends.
func (s *Store) watchMarks(ctx context.Context) {
	for sleep(ctx, marksEvery) {
		if err := s.saveMarks(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("how far the streams reach was not stored", "error", err)
		}
	}
}

// saveMarks stores how far the streams reach, if that has changed. What a stream
// says it holds has been synced: the marks are never ahead of the disk.
func (s *Store) saveMarks(ctx context.Context) error {
	if s.keep == nil {
		return nil
	}
	now := map[string]uint64{} // of a store that holds nothing there is nothing to save
	for name, stream := range s.streams {
		info, err := stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("look at stream %s: %w", name, err)
		}
		last, known := info.State.LastSeq, s.marks[name]
		if decides(name) {
			last = max(last, known)
		}
		if last > 0 || known > 0 {
			now[name] = last
		}
	}
	if maps.Equal(now, s.marks) {
		return nil
	}
	if err := s.keep.Save(ctx, now); err != nil {
		return fmt.Errorf("save marks: %w", err)
	}
	s.marks = now
	return nil
}

// ControlMarks keeps the marks in a document of the store itself, for streams on
// the user's NATS: there is no other place that all servers share. It marks every
// stream but the one it is in.
type ControlMarks struct{ JS jetstream.JetStream }

const marksKey = "marks"

func (m ControlMarks) documents(ctx context.Context) (documents, error) {
	stream, err := m.JS.Stream(ctx, controlStream)
	if err != nil {
		return documents{}, unavailable(err)
	}
	return documents{stream: stream, pub: publisher{m.JS}}, nil
}

// Load implements [Marks].
func (m ControlMarks) Load(ctx context.Context) (map[string]uint64, error) {
	docs, err := m.documents(ctx)
	if err != nil {
		return nil, err
	}
	doc, err := docs.get(ctx, controlPrefix+marksKey)
	if err != nil || doc.revision == 0 {
		return nil, err
	}
	return decodeMarks(doc.value)
}

// Save implements [Marks]. Several servers save theirs: the highest counts, and
// for a stream whose end may be lost the last one.
func (m ControlMarks) Save(ctx context.Context, marks map[string]uint64) error {
	docs, err := m.documents(ctx)
	if err != nil {
		return err
	}
	return docs.change(ctx, controlPrefix+marksKey, func(doc document) ([]byte, error) {
		next := map[string]uint64{}
		if doc.revision > 0 {
			if next, err = decodeMarks(doc.value); err != nil {
				return nil, err
			}
		}
		before := maps.Clone(next)
		for name, seq := range marks {
			switch {
			case name == controlStream: // saving moves it
			case decides(name):
				next[name] = max(next[name], seq)
			default:
				next[name] = seq
			}
		}
		if maps.Equal(before, next) {
			return nil, nil
		}
		return json.Marshal(next)
	})
}

func decodeMarks(data []byte) (map[string]uint64, error) {
	marks := map[string]uint64{}
	if err := json.Unmarshal(data, &marks); err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	return marks, nil
}

// restoreState is the state of a restore, in a document of the store.
type restoreState struct {
	Finished bool `json:"finished"`
	// Backup is when the backup was taken.
	Backup time.Time `json:"backup"`
}

const restoreKey = "restore"

// restored refuses a store whose restore did not come to its end.
func restored(ctx context.Context, control *Control) error {
	doc, err := control.Get(ctx, restoreKey)
	if errors.Is(err, backout.ErrNotFound) {
		return nil
	}
	var state restoreState
	if err == nil {
		err = json.Unmarshal(doc.Value, &state)
	}
	if err != nil {
		return fmt.Errorf("read state of restore: %w", err)
	}
	if !state.Finished {
		return fmt.Errorf("the restore of the backup of %s was not finished: remove what it left (the data directory, or the streams of backout), and restore into an empty store again", state.Backup.Format(time.RFC3339))
	}
	return nil
}
