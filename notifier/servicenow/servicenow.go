// Package servicenow writes what happens to a change into its change request: a
// work note for each notice, the back-out plan with its digest, the outcome as close
// code and close notes. It can open incidents, and it reads the change request for
// the gate. It approves nothing and moves no state: that is people's.
//
// The shapes and their sources are in internal/itsm.
package servicenow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsm"
	"github.com/backout-io/backout/notifier"
)

// Kind is the channel type.
func Kind() notifier.Kind {
	k := notifier.Define("servicenow", "work notes, plan and outcome in the ServiceNow change request", build)
	k.Records = true
	return k
}

func build(_ context.Context, c Config) (backout.Notifier, error) {
	return New(c)
}

// New makes the notifier of an instance.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	client, err := itsm.NewClient(c.URL, c.Auth, nil)
	if err != nil {
		return nil, err
	}
	return &Notifier{config: c.withDefaults(), api: itsm.ServiceNow{Client: client}}, nil
}

// Notifier writes into change requests of one instance. It may be used by many
// goroutines.
type Notifier struct {
	config Config
	api    itsm.ServiceNow
	// numbers are the ids of changes of which it is known that they are none.
	numbers itsm.Presence
}

var _ notifier.Records = (*Notifier)(nil)

// Format implements [fmt.Formatter]: no verb reaches a secret.
func (n *Notifier) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "servicenow instance "+n.api.Host())
}

// Notify implements [backout.Notifier]. What a delivery before has written is not
// written again.
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	number, own, err := n.number(m.Notice)
	if err != nil {
		return backout.Receipt{}, err
	}
	if number == "" {
		return backout.Receipt{Ref: m.Notice.ID, Channel: n.api.Host()}, n.api.Ping(ctx)
	}
	err = n.write(ctx, number, own, m)
	if own && n.config.Record != "" && m.Notice.Labels[backout.LabelRecord] == "" && errors.Is(err, itsm.ErrNoRecord) {
		// Almost any id could be a number; that it is none only the instance knows.
		n.numbers.Put(number, false)
		number = n.config.Record
		err = n.write(ctx, number, false, m)
	}
	if err != nil {
		return backout.Receipt{}, fmt.Errorf("write into %s: %w", number, err)
	}
	return backout.Receipt{Ref: number, Channel: n.api.Host()}, nil
}

// number is the change request that a notice belongs to, and whether it is the change's
// own. It is empty for a test that belongs to none.
func (n *Notifier) number(notice backout.Notice) (number string, own bool, err error) {
	id := backout.ITSMID(notice.ChangeID, notice.Labels)
	about := notice.Moment != backout.MomentTest && itsm.IsNumber(id)
	if there, known := n.numbers.Get(id); known && notice.Labels[backout.LabelRecord] == "" {
		about = about && there
	}
	switch {
	case about:
		return id, true, nil
	case n.config.Record != "" || notice.Moment == backout.MomentTest:
		return n.config.Record, false, nil
	case id == "":
		return "", false, backout.Permanent(errors.New("the notice is about no change: name a change request for such notices, record: CHG…, or keep them from this channel"))
	}
	return "", false, backout.Permanent(fmt.Errorf("%q is not the number of a change request: give the change the label %s, or the channel a record", id, backout.LabelRecord))
}

func (n *Notifier) write(ctx context.Context, number string, own bool, m backout.Message) error {
	change, err := n.api.ChangeByNumber(ctx, number)
	if err != nil {
		return err
	}
	further, failed := n.incident(ctx, change, m)
	switch {
	case backout.IsPermanent(failed):
		// The change request is told all the same, and that there is none.
		further = "There is no incident of this, or it was not told: " + failed.Error()
	case failed != nil:
		return failed
	}
	if err := n.writeChange(ctx, change, own, m, further); err != nil {
		return err // not both: this one may be worth another try
	}
	return failed
}

// writeChange writes note, plan and outcome into the change request. One that is not the
// change's own gets the note alone: its columns are not about this change.
func (n *Notifier) writeChange(ctx context.Context, change itsm.Row, own bool, m backout.Message, further string) error {
	columns := map[string]string{}
	if !noted(change, itsm.Tag(m)) {
		columns["work_notes"] = note(m, further)
	}
	block := ""
	if own {
		block = n.addPlan(columns, change, m.Notice)
		n.addOutcome(columns, change, m)
	}
	if len(columns) == 0 {
		return nil
	}
	now, err := n.api.UpdateChange(ctx, change, columns)
	if err != nil || block == "" || strings.Contains(unixLines(now[n.config.Columns.Plan].Value), block) {
		return err
	}
	return n.planAsNote(ctx, change, block)
}

// addPlan puts the plan into its column, once the change may have begun: what a gate
// refused is no plan that anybody follows. It returns our part of the column; empty
// when nothing is to be written.
func (n *Notifier) addPlan(columns map[string]string, change itsm.Row, notice backout.Notice) string {
	if notice.PlanHash == "" || notice.PlanText == "" || notice.Moment == backout.MomentGateRefused || notice.Moment == backout.MomentTest {
		return ""
	}
	is := unixLines(change[n.config.Columns.Plan].Value)
	merged, _ := itsm.WithPlan(is, notice)
	block := plain(itsm.PlanBlock(notice))
	if merged = plain(merged); merged == is || noted(change, firstLine(block)) {
		return ""
	}
	columns[n.config.Columns.Plan] = merged
	return block
}

// planAsNote writes the plan where the column does not hold it: many instances close
// it when a change is approved and ignore what is written then, and it may be too
// short.
func (n *Notifier) planAsNote(ctx context.Context, change itsm.Row, block string) error {
	_, err := n.api.UpdateChange(ctx, change, map[string]string{
		"work_notes": "The back-out plan that is followed; its column does not take it.\n\n" + block,
	})
	return err
}

func unixLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// addOutcome fills in close code and notes where nobody has.
func (n *Notifier) addOutcome(columns map[string]string, change itsm.Row, m backout.Message) {
	code := n.config.closeCode(m.Notice.Outcome)
	if code == "" || change["close_code"].Value != "" {
		return
	}
	columns["close_code"] = code
	if change["close_notes"].Value == "" {
		columns["close_notes"] = plain(m.Text)
	}
}

// noted tells whether the journal of a record holds a text.
func noted(row itsm.Row, text string) bool {
	return strings.Contains(row["work_notes"].Shown, text)
}

// note is a work note.
func note(m backout.Message, further string) string {
	text := notifier.OneLine(m.Subject) + "\n\n" + m.Text
	if further != "" {
		text += "\n\n" + further
	}
	return plain(text + "\n\n" + itsm.Tag(m))
}

var codeTag = regexp.MustCompile(`(?i)\[(/?code)`)

// plain keeps a text from being shown as HTML, which ServiceNow does with what
// stands between [code] and [/code].
func plain(text string) string { return codeTag.ReplaceAllString(text, "[ $1") }

// incident opens the incident of a rollback, or adds to it, and returns what the
// change request says of it.
func (n *Notifier) incident(ctx context.Context, change itsm.Row, m backout.Message) (string, error) {
	hears, opens := itsm.IncidentHears(m.Notice.Moment)
	if !n.config.Incidents || !hears {
		return "", nil
	}
	correlation := itsm.Correlation(m.Notice)
	found, err := n.api.Incidents(ctx, correlation)
	if err != nil {
		return "", fmt.Errorf("look for the incident: %w", err)
	}
	switch {
	case len(found) == 0 && opens:
		made, err := n.api.CreateIncident(ctx, n.newIncident(change, correlation, m))
		if err != nil {
			return "", fmt.Errorf("open an incident: %w", err)
		}
		return "Incident: " + made["number"].Value, nil
	case len(found) == 0:
		return "", nil
	}
	if tag := itsm.Tag(m); !noted(found[0], tag) && !strings.Contains(found[0]["description"].Value, tag) {
		if err := n.api.UpdateIncident(ctx, found[0], map[string]string{"work_notes": note(m, "")}); err != nil {
			return "", fmt.Errorf("add to incident %s: %w", found[0]["number"].Value, err)
		}
	}
	further := "Incident: " + found[0]["number"].Value
	if len(found) > 1 {
		further += ", the oldest of several; another is " + found[1]["number"].Value
	}
	return further, nil
}

func (n *Notifier) newIncident(change itsm.Row, correlation string, m backout.Message) map[string]string {
	columns := map[string]string{
		"short_description": notifier.OneLine(m.Subject), "description": note(m, ""),
		"correlation_id": correlation, "correlation_display": "backout", "caused_by": change["sys_id"].Value,
	}
	for name, value := range n.config.IncidentColumns {
		columns[name] = value
	}
	return columns
}
