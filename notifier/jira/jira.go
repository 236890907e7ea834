// Package jira writes what happens to a change into its Jira issue: a comment for
// each notice, hidden from a service desk's customers, and the back-out plan with its
// digest. It can open linked incidents, and it reads the issue and its service desk
// approvals for the gate. It answers no approval and moves no status: that is
// people's.
//
// The shapes and their sources are in internal/itsm.
package jira

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsm"
	"github.com/backout-io/backout/notifier"
)

// Kind is the channel type.
func Kind() notifier.Kind {
	k := notifier.Define("jira", "comments and plan in the Jira issue of the change, in the cloud or a data center", build)
	k.Records = true
	return k
}

func build(_ context.Context, c Config) (backout.Notifier, error) {
	return New(c)
}

// New makes the notifier of a site.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	// A data center answers questions about approvals only to who knows that this is
	// experimental there.
	client, err := itsm.NewClient(c.URL, c.Auth, http.Header{"X-Experimentalapi": {"opt-in"}})
	if err != nil {
		return nil, err
	}
	return &Notifier{config: c.withDefaults(), api: itsm.Jira{Client: client, Cloud: !c.DataCenter}}, nil
}

// Notifier writes into issues of one site. It may be used by many goroutines.
type Notifier struct {
	config Config
	api    itsm.Jira
	// keys are the ids of changes of which it is known whether they are an issue's.
	keys itsm.Presence
}

var _ notifier.Records = (*Notifier)(nil)

// Format implements [fmt.Formatter]: no verb reaches a secret.
func (n *Notifier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "jira site "+n.api.Host()) }

// Notify implements [backout.Notifier]. What a delivery before has written is not
// written again.
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	key, own, err := n.key(m.Notice)
	if err != nil {
		return backout.Receipt{}, err
	}
	if key == "" {
		return backout.Receipt{Ref: m.Notice.ID, Channel: n.api.Host()}, n.api.Ping(ctx)
	}
	if own && n.config.Record != "" && m.Notice.Labels[backout.LabelRecord] == "" {
		there, err := n.there(ctx, key)
		if err != nil {
			return backout.Receipt{}, err
		}
		if !there {
			key, own = n.config.Record, false
		}
	}
	if err := n.write(ctx, key, own, m); err != nil {
		return backout.Receipt{}, fmt.Errorf("write into %s: %w", key, err)
	}
	return backout.Receipt{Ref: key, Channel: n.api.Host()}, nil
}

// there tells whether there is an issue of the key: a change's id may look like one. It
// is asked before anything is written, so that no incident is opened twice.
func (n *Notifier) there(ctx context.Context, key string) (bool, error) {
	if there, known := n.keys.Get(key); known {
		return there, nil
	}
	_, err := n.api.Issue(ctx, key, "status")
	if err != nil && !errors.Is(err, backout.ErrNotFound) {
		return false, fmt.Errorf("look for %s: %w", key, err)
	}
	// What only a proxy says is of this notice alone.
	if err == nil || errors.Is(err, itsm.ErrNoRecord) {
		n.keys.Put(key, err == nil)
	}
	return err == nil, nil
}

// key is the issue that a notice belongs to, and whether it is the change's own. It is
// empty for a test that belongs to none.
func (n *Notifier) key(notice backout.Notice) (key string, own bool, err error) {
	id := backout.ITSMID(notice.ChangeID, notice.Labels)
	switch {
	case notice.Moment != backout.MomentTest && itsm.IsKey(id):
		return id, true, nil
	case n.config.Record != "" || notice.Moment == backout.MomentTest:
		return n.config.Record, false, nil
	case id == "":
		return "", false, backout.Permanent(errors.New("the notice is about no change: name an issue for such notices, record: OPS-1, or keep them from this channel"))
	}
	return "", false, backout.Permanent(fmt.Errorf("%q is not the key of an issue: give the change the label %s, or the channel a record", id, backout.LabelRecord))
}

// write tells the issue. One that is not the change's own gets the comment alone: its
// plan is not this change's.
func (n *Notifier) write(ctx context.Context, key string, own bool, m backout.Message) error {
	if own {
		if err := n.writePlan(ctx, key, m.Notice); err != nil {
			return err
		}
	}
	further, failed := n.incident(ctx, key, m)
	switch {
	case backout.IsPermanent(failed):
		// The issue of the change is told all the same, and that there is none.
		further = "There is no incident of this, or it was not told: " + failed.Error()
	case failed != nil:
		return failed
	}
	if err := n.comment(ctx, key, m, further); err != nil {
		return err // not both: this one may be worth another try
	}
	return failed
}

func (n *Notifier) comment(ctx context.Context, key string, m backout.Message, further string) error {
	tag := itsm.Tag(m)
	if there, err := n.api.Commented(ctx, key, tag); err != nil || there {
		return err
	}
	return n.api.Comment(ctx, key, tag, text(m, further, tag))
}

func text(m backout.Message, further, tag string) string {
	text := notifier.OneLine(m.Subject) + "\n\n" + m.Text
	if further != "" {
		text += "\n\n" + further
	}
	return text + "\n\n" + tag
}

// writePlan puts the plan into its field, once the change may have begun: what a gate
// refused is no plan that anybody follows.
func (n *Notifier) writePlan(ctx context.Context, key string, notice backout.Notice) error {
	field := n.config.Fields.Plan
	if field == "" || notice.PlanHash == "" || notice.PlanText == "" || notice.Moment == backout.MomentGateRefused || notice.Moment == backout.MomentTest {
		return nil
	}
	issue, err := n.api.Issue(ctx, key, field)
	if err != nil {
		return err
	}
	var merged any
	var changed bool
	if n.api.Cloud {
		merged, changed = itsm.DocumentWithPlan(issue.Fields[field], notice)
	} else {
		merged, changed = itsm.WithPlan(itsm.FieldText(issue.Fields[field]), notice)
	}
	if !changed {
		return nil
	}
	err = n.api.SetFields(ctx, key, map[string]any{field: merged})
	if backout.IsPermanent(err) {
		return n.planAsComment(ctx, key, notice)
	}
	return err
}

// planAsComment writes the plan where the field is closed to us, as workflows do once
// an issue is approved. Where that was the user, the comment fails too, and says so.
func (n *Notifier) planAsComment(ctx context.Context, key string, notice backout.Notice) error {
	m := backout.Message{
		Notice:  backout.Notice{ID: "plan." + notice.PlanHash},
		Subject: "The back-out plan that is followed; its field cannot be written.", Text: itsm.PlanBlock(notice),
	}
	return n.comment(ctx, key, m, "")
}

// incident opens the incident of a rollback, or adds to it, and returns what the
// issue of the change says of it.
func (n *Notifier) incident(ctx context.Context, key string, m backout.Message) (string, error) {
	where := n.config.Incident
	hears, opens := itsm.IncidentHears(m.Notice.Moment)
	if where == nil || !hears {
		return "", nil
	}
	label := itsm.Correlation(m.Notice)
	found, err := n.api.Labelled(ctx, where.Project, label)
	if err != nil {
		return "", fmt.Errorf("look for the incident: %w", err)
	}
	if len(found) == 0 && !opens {
		return "", nil
	}
	if len(found) == 0 {
		made, err := n.open(ctx, label, m)
		if err != nil {
			return "", err
		}
		found = []itsm.Issue{{Key: made}}
	} else if !found[0].HasLabel(itsm.TagLabel(m)) {
		if err := n.comment(ctx, found[0].Key, m, ""); err != nil {
			return "", fmt.Errorf("add to incident %s: %w", found[0].Key, err)
		}
	}
	// To link what is linked already is harmless: Jira keeps one link of a type.
	if opens {
		if err := n.api.Link(ctx, where.Link, found[0].Key, key); err != nil {
			return "", fmt.Errorf("link incident %s: %w", found[0].Key, err)
		}
	}
	further := "Incident: " + found[0].Key
	if len(found) > 1 {
		further += ", the oldest of several; another is " + found[1].Key
	}
	return further, nil
}

// maxSummary is how many characters Jira's summary takes.
const maxSummary = 255

func (n *Notifier) open(ctx context.Context, label string, m backout.Message) (string, error) {
	key, err := n.api.Create(ctx, map[string]any{
		"project": map[string]string{"key": n.config.Incident.Project}, "issuetype": map[string]string{"name": n.config.Incident.Type},
		"summary": notifier.Cut(notifier.OneLine(m.Subject), maxSummary), "description": n.api.Text(text(m, "", itsm.Tag(m))),
		"labels": []string{label, itsm.TagLabel(m)},
	})
	if err != nil {
		return "", fmt.Errorf("open an incident: %w", err)
	}
	return key, nil
}
