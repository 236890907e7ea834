package jira

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsm"
)

// Readable implements [notifier.Records].
func (n *Notifier) Readable() error {
	f := n.config.Fields
	if f.Start == "" || f.End == "" || f.Plan == "" {
		return errors.New("fields: start, end and plan are needed for the gate to read issues: give the fields' ids, such as start: customfield_10061")
	}
	return nil
}

// status is an issue's status; the category tells an end whatever the name is.
type status struct {
	Name     string `json:"name"`
	Category struct {
		Key string `json:"key"`
	} `json:"statusCategory"`
}

// Record implements [notifier.Records].
func (n *Notifier) Record(ctx context.Context, c backout.ChangeSpec) (backout.ITSMRecord, error) {
	id := backout.ITSMID(c.ID, c.Labels)
	r := backout.ITSMRecord{System: "Jira", ID: id}
	if err := n.Readable(); err != nil {
		return r, backout.Permanent(err)
	}
	f := n.config.Fields
	issue, err := n.api.Issue(ctx, id, f.Start+","+f.End+","+f.Plan+",status")
	if err != nil {
		return r, err
	}
	// What is told from now on belongs there, also where there was none a moment ago.
	n.keys.Put(id, true)
	for _, name := range []string{f.Start, f.End, f.Plan} {
		if _, ok := issue.Fields[name]; !ok {
			return r, backout.Permanent(fmt.Errorf("issue %s has no field %q", id, name))
		}
	}
	var is status
	if json.Unmarshal(issue.Fields["status"], &is) != nil || is.Category.Key == "" {
		return r, fmt.Errorf("issue %s: its status cannot be read", id)
	}
	r.State, r.Ended = is.Name, is.Category.Key == "done"
	r.Plan = itsm.FieldText(issue.Fields[f.Plan])
	if r.Starts, err = itsm.JiraTime(issue.Fields[f.Start]); err == nil {
		r.Ends, err = itsm.JiraTime(issue.Fields[f.End])
	}
	if err != nil {
		return r, err
	}
	return r, n.approval(ctx, &r)
}

// approval fills in whether the issue is approved: by its status where the config
// names some, else by the service desk's approvals. Of several questions of one name
// the last one's answer counts, and every one must be approved.
func (n *Notifier) approval(ctx context.Context, r *backout.ITSMRecord) error {
	if len(n.config.Approved) > 0 {
		r.Approved, r.Approval = slices.Contains(n.config.Approved, r.State), r.State
		return nil
	}
	all, err := n.api.Approvals(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("read the approvals of %s, which is there: %w", r.ID, asUnread(err))
	}
	if len(all) == 0 {
		r.Approval = "no approval was asked for"
		return nil
	}
	slices.SortStableFunc(all, func(a, b itsm.Approval) int { return cmp.Compare(a.CreatedDate.EpochMillis, b.CreatedDate.EpochMillis) })
	last := map[string]string{}
	for _, a := range all {
		last[a.Name] = a.FinalDecision
	}
	r.Approved, r.Approval = true, "approved"
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if last[name] != "approved" {
			r.Approved, r.Approval = false, last[name]
		}
	}
	return nil
}

// asUnread keeps a 404 of the approvals from passing for an issue that is not there.
func asUnread(err error) error {
	if errors.Is(err, backout.ErrNotFound) {
		return backout.Permanent(errors.New("it is no request of a service desk, or the user may not see its approvals: name the statuses that mean approved in approved"))
	}
	return err
}
