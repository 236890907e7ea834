package servicenow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// stored is how ServiceNow stores a time, in UTC.
const stored = "2006-01-02 15:04:05"

// Readable implements [notifier.Records].
func (n *Notifier) Readable() error { return nil }

// Record implements [notifier.Records].
func (n *Notifier) Record(ctx context.Context, c backout.ChangeSpec) (backout.ITSMRecord, error) {
	id := backout.ITSMID(c.ID, c.Labels)
	r := backout.ITSMRecord{System: "ServiceNow", ID: id}
	row, err := n.api.ChangeByNumber(ctx, id)
	if err != nil {
		return r, err
	}
	// What is told from now on belongs there, also where there was none a moment ago.
	n.numbers.Put(id, true)
	columns := n.config.Columns
	for _, name := range []string{columns.Approval, columns.Start, columns.End, columns.Plan, "active"} {
		if _, ok := row[name]; !ok {
			return r, backout.Permanent(fmt.Errorf("change request %s has no column %q, or the user may not read it", id, name))
		}
	}
	approval := row[columns.Approval]
	r.Approved, r.Approval = slices.Contains(n.config.Approved, approval.Value), shown(approval.Shown, approval.Value)
	// States are customised; that a task is active is not.
	r.Ended, r.State = row["active"].Value != "true", shown(row["state"].Shown, row["state"].Value)
	r.Plan = row[columns.Plan].Value
	if r.Starts, err = at(row[columns.Start].Value); err == nil {
		r.Ends, err = at(row[columns.End].Value)
	}
	if err != nil {
		return r, backout.Permanent(fmt.Errorf("change request %s: its planned times cannot be read: %w", id, err))
	}
	return r, nil
}

func shown(display, value string) string {
	if display != "" {
		return display
	}
	return value
}

func at(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(stored, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: want YYYY-MM-DD hh:mm:ss", backout.ErrInvalid)
	}
	return at, nil
}
