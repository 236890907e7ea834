package dashboard

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/chart"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// recordsMost is how many records of a log are kept in words, and verdictsMost how
	// many verdicts.
	recordsMost, verdictsMost = 200, 20
	// marksMost is how many moments of one log are marked in a picture.
	marksMost = 30
	// gistsMost is how many logs are kept so.
	gistsMost = 256
	// restAfter is how many times as long as it took to read a log it is left alone, while
	// it grows.
	restAfter = 10
)

// gist is what pages show of one log: a few hundred records of which most say what one
// step did may take long to read, and an open page asks with every record.
type gist struct {
	// revision is the sequence of the last record that it holds.
	revision uint64
	// records are the newest, newest first; older is how many more there are.
	records []ui.Happened
	older   int
	// marks are the moments that a picture marks, verdicts the newest that it tells of,
	// newest first.
	marks        []chart.Mark
	verdicts     []backout.Verdict
	moreVerdicts int

	read time.Time
	took time.Duration
	used time.Time
}

// gists keeps what was read. It is safe for concurrent use.
type gists struct {
	mu   sync.Mutex
	kept map[string]*gist
}

// of returns the gist of a log that stands at the revision, which is read again when it
// has grown: at once, or, when reading takes long, after a while. Whoever asks must have
// been let see it. A revision of 0 is not known, and is read.
func (g *gists) of(key string, revision uint64, read func() (*gist, error)) (*gist, error) {
	g.mu.Lock()
	known := g.kept[key]
	now := time.Now()
	if known != nil {
		known.used = now
	}
	g.mu.Unlock()
	if known != nil && revision != 0 && (known.revision >= revision || now.Sub(known.read) < restAfter*known.took) {
		return known, nil
	}
	fresh, err := read()
	if err != nil {
		return nil, err
	}
	fresh.read, fresh.took, fresh.used = time.Now(), time.Since(now), now
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kept == nil {
		g.kept = map[string]*gist{}
	}
	g.kept[key] = fresh
	if len(g.kept) > gistsMost {
		oldest := ""
		for k, v := range g.kept {
			if oldest == "" || v.used.Before(g.kept[oldest].used) {
				oldest = k
			}
		}
		delete(g.kept, oldest)
	}
	return fresh, nil
}

// changeLog is the gist of the change's log; whoever asks has read the change.
func (d *Dashboard) changeLog(ctx context.Context, c *backout.Change) (*gist, error) {
	return d.gists.of("changes/"+c.ID, c.Revision, func() (*gist, error) {
		entries, err := d.o.Services.Changes.ChangeLog(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		g := gistOf("changes", entries, nil)
		g.noteVerdicts(entries)
		return g, nil
	})
}

// rollbackLog is the gist of the rollback's log; whoever asks has read the rollback.
func (d *Dashboard) rollbackLog(ctx context.Context, r *backout.Rollback) (*gist, error) {
	return d.gists.of("rollbacks/"+r.ID, r.Revision, func() (*gist, error) {
		entries, err := d.logOf(ctx, r)
		if err != nil {
			return nil, err
		}
		return gistOf("rollbacks", entries, &r.Frozen.Plan), nil
	})
}

func gistOf(of string, entries []handlers.LogEntry, plan *backout.Plan) *gist {
	g := &gist{older: max(len(entries)-recordsMost, 0)}
	for i, entry := range slices.Backward(entries) {
		if g.revision = max(g.revision, entry.Seq); i >= g.older {
			g.records = append(g.records, ui.HappenedIn(of, entry.ID, entry.Seq, entry.Record, plan))
		}
	}
	for _, entry := range entries {
		for _, e := range entry.Record.Events {
			if mark, ok := markOf(e); ok && len(g.marks) < marksMost {
				mark.At = entry.Record.At
				g.marks = append(g.marks, mark)
			}
		}
	}
	return g
}

// markOf is the mark of an event in the picture of the alerts.
func markOf(e backout.Event) (chart.Mark, bool) {
	switch e := e.(type) {
	case backout.WindowOpened:
		return chart.Mark{Kind: chart.MarkOpened}, true
	case backout.PatchStarted:
		return chart.Mark{Kind: chart.MarkPatchStarted}, true
	case backout.PatchEnded:
		return chart.Mark{Kind: chart.MarkPatched}, true
	case backout.LevelEntered:
		return chart.Mark{Kind: chart.MarkLevel, Text: levelStarted(e.Level)}, true
	case backout.Asked:
		return chart.Mark{Kind: chart.MarkAsked}, true
	case backout.HeldBack:
		return chart.Mark{Kind: chart.MarkHeld}, true
	case backout.Ended:
		return endMark(e.Status), true
	}
	return chart.Mark{}, false
}

func endMark(s backout.RollbackStatus) chart.Mark {
	switch s {
	case backout.RollbackRecovered:
		return chart.Mark{Kind: chart.MarkRecovered}
	case backout.RollbackExhausted:
		return chart.Mark{Kind: chart.MarkExhausted}
	case backout.RollbackAborted:
		return chart.Mark{Kind: chart.MarkAborted}
	case backout.RollbackCancelled, backout.RollbackPending, backout.RollbackRunning, backout.RollbackVerifying, backout.RollbackAwaiting, backout.RollbackHeld, backout.RollbackAborting:
	}
	return chart.Mark{Kind: chart.MarkOther, Text: "rollback " + ui.Word(s)}
}

// noteVerdicts finds what rules said: what led to a rollback, and what led to nothing.
func (g *gist) noteVerdicts(entries []handlers.LogEntry) {
	var found []backout.Verdict
	for _, entry := range entries {
		for _, event := range entry.Record.Events {
			switch e := event.(type) {
			case backout.VerdictGiven:
				found = append(found, e.Verdict)
			case backout.RollbackRequested:
				if v := e.Opened.Trigger.Verdict; v != nil {
					found = append(found, *v)
				}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b backout.Verdict) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Rule, b.Rule))
	})
	g.verdicts = found[:min(len(found), verdictsMost)]
	g.moreVerdicts = len(found) - len(g.verdicts)
}

// textsMost is how many texts are kept.
const textsMost = 4096

// texts keeps what was said of things that never change, by their digests. It is safe
// for concurrent use.
type texts struct {
	mu   sync.Mutex
	kept map[string]string
}

func (t *texts) get(digest string) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	says, known := t.kept[digest]
	return says, known
}

func (t *texts) put(digest, says string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept == nil || len(t.kept) >= textsMost {
		t.kept = map[string]string{}
	}
	t.kept[digest] = says
}
