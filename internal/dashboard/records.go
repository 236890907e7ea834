package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/told"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// recordBytes is how much of a record its page shows, recordLines how many lines it
	// has for what the record tells.
	recordBytes = 256 << 10
	recordLines = 50
)

// rollbackRecord builds the page of one record of a rollback's log.
func (d *Dashboard) rollbackRecord(ctx context.Context, q *query) (ui.Content, error) {
	r, err := d.rollbackAt(ctx, q)
	if err != nil {
		return nil, err
	}
	log, err := d.logOf(ctx, &r)
	if err != nil {
		return nil, err
	}
	return recordOf(q, "rollbacks", r.ID, log, &r.Frozen.Plan)
}

// changeRecord builds the page of one record of a change's log.
func (d *Dashboard) changeRecord(ctx context.Context, q *query) (ui.Content, error) {
	id, err := handlers.PathName(q.r, "id")
	if err != nil {
		return nil, err
	}
	log, err := d.o.Services.Changes.ChangeLog(ctx, id)
	if err != nil {
		return nil, err
	}
	return recordOf(q, "changes", id, log, nil)
}

func recordOf(q *query, of, id string, log []handlers.LogEntry, plan *backout.Plan) (ui.Content, error) {
	text := q.r.PathValue("seq")
	seq, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, handlers.Refuse(http.StatusBadRequest, "invalid", fmt.Sprintf("record %.32q: want the number of a record", text))
	}
	i := slices.IndexFunc(log, func(e handlers.LogEntry) bool { return e.Seq == seq })
	if i < 0 {
		return nil, fmt.Errorf("record %d of %s: %w", seq, id, backout.ErrNotFound)
	}
	rec := log[i].Record
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode record %d of %s: %w", seq, id, err)
	}
	out := ui.Record{Of: of, ID: id, Seq: seq, At: rec.At, Server: rec.By, People: peopleIn(data), Place: i + 1, Records: len(log)}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, data, "", "  "); err != nil {
		return nil, fmt.Errorf("indent record %d of %s: %w", seq, id, err)
	}
	if out.JSON = pretty.String(); len(out.JSON) > recordBytes {
		out.JSON, out.Cut = out.JSON[:recordBytes], true
	}
	for _, line := range told.Record(rec, plan) {
		if len(out.Said) < recordLines {
			out.Said = append(out.Said, line.Said)
		}
	}
	if i > 0 {
		out.Before = log[i-1].Seq
	}
	if i+1 < len(log) {
		out.After = log[i+1].Seq
	}
	return out, nil
}

// peopleIn are the people that a record's events name as having done them: whoever an
// event is by, and whoever voted.
func peopleIn(record []byte) []string {
	var in struct {
		Events []struct {
			Data struct {
				By   string
				Vote struct{ User string }
			}
		}
	}
	if err := json.Unmarshal(record, &in); err != nil {
		return nil // an event has another form; the record itself is shown
	}
	var out []string
	for _, e := range in.Events {
		for _, who := range []string{e.Data.By, e.Data.Vote.User} {
			if who != "" && !slices.Contains(out, who) {
				out = append(out, who)
			}
		}
	}
	return out
}
