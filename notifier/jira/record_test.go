package jira

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsm"
	"github.com/backout-io/backout/internal/itsmfake"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

var spec = backout.ChangeSpec{ID: key}

func TestTheRecordIsRead(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		_, c := site(t, cloud)
		n := newNotifier(t, c)
		got, err := n.Record(t.Context(), spec)
		got.Starts, got.Ends, got.Plan = got.Starts.UTC(), got.Ends.UTC(), strings.TrimSpace(got.Plan)
		want := backout.ITSMRecord{
			System: "Jira", ID: key, Approved: true, Approval: "approved", State: "Awaiting implementation",
			Starts: time.Date(2026, 3, 14, 1, 0, 0, 0, time.UTC), Ends: time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC), Plan: "Call Ana.\nUndo by hand.",
		}
		if d := cmp.Diff(want, got); d != "" || err != nil || n.Readable() != nil {
			t.Errorf("%v (-want +got):\n%s", err, d)
		}
	})
}

func TestApprovals(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		n := newNotifier(t, c)
		for name, tt := range map[string]struct {
			all      []itsmfake.Approval
			approved bool
			says     string
		}{
			"none asked for":       {[]itsmfake.Approval{}, false, "no approval was asked for"},
			"pending":              {[]itsmfake.Approval{{Name: "CAB", Decision: "pending"}}, false, "pending"},
			"declined":             {[]itsmfake.Approval{{Name: "CAB", Decision: "declined"}}, false, "declined"},
			"a word of tomorrow":   {[]itsmfake.Approval{{Name: "CAB", Decision: ""}}, false, ""},
			"one of two":           {[]itsmfake.Approval{{Name: "CAB", Decision: "approved"}, {Name: "Owner", Decision: "pending"}}, false, "pending"},
			"declined, then asked": {[]itsmfake.Approval{{Name: "CAB", Decision: "approved", Millis: 2}, {Name: "CAB", Decision: "declined", Millis: 1}}, true, "approved"},
			"approved, then not":   {[]itsmfake.Approval{{Name: "CAB", Decision: "declined", Millis: 2}, {Name: "CAB", Decision: "approved", Millis: 1}}, false, "declined"},
			"on the second page": {[]itsmfake.Approval{
				{Name: "a", Decision: "approved"}, {Name: "b", Decision: "approved"}, {Name: "c", Decision: "declined"},
			}, false, "declined"},
		} {
			j.Approve(key, tt.all)
			got, err := n.Record(t.Context(), spec)
			if got.Approved != tt.approved || got.Approval != tt.says || err != nil {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	})
}

func TestStatusesOfTheSitesOwn(t *testing.T) {
	j, c := site(t, true)
	c.Approved = []string{"Freigegeben"}
	n := newNotifier(t, c)
	j.Approve(key, nil)
	for name, want := range map[string]bool{"Freigegeben": true, "Awaiting implementation": false, "freigegeben": false} {
		j.Set(key, map[string]any{"status": itsmfake.JiraStatus(name, "indeterminate")})
		if got, err := n.Record(t.Context(), spec); got.Approved != want || got.Approval != name || got.Ended || err != nil {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	j.Set(key, map[string]any{"status": itsmfake.JiraStatus("Freigegeben", "done")})
	if got, err := n.Record(t.Context(), spec); !got.Ended || err != nil {
		t.Errorf("done: %+v, %v", got, err)
	}
	j.Set(key, map[string]any{"status": "Freigegeben"})
	if _, err := n.Record(t.Context(), spec); err == nil {
		t.Error("a status that cannot be read passed")
	}
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	j, c := site(t, true)
	n := newNotifier(t, c)
	for _, id := range []string{"CHG-404", "CHG0030001", "CHG-1/../x", "chg-1"} {
		if _, err := n.Record(t.Context(), backout.ChangeSpec{ID: "x", Labels: map[string]string{backout.LabelRecord: id}}); !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	j.AddIssue("OPS-1", nil)
	if _, err := n.Record(t.Context(), backout.ChangeSpec{ID: "OPS-1"}); !backout.IsPermanent(err) || !strings.Contains(err.Error(), `no field "customfield_1"`) {
		t.Errorf("an issue without the fields: %v", err)
	}
	j.Approve(key, nil)
	if _, err := n.Record(t.Context(), spec); err == nil || errors.Is(err, backout.ErrNotFound) || !strings.Contains(err.Error(), "service desk") {
		t.Errorf("no request of a service desk: %v", err)
	}
	j.Set(key, map[string]any{fields.Start: "14.3.2026"})
	if _, err := n.Record(t.Context(), spec); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "date time") {
		t.Errorf("a day without time: %v", err)
	}
	j.Set(key, map[string]any{fields.Start: nil, fields.Plan: itsm.Document("")})
	j.Approve(key, []itsmfake.Approval{{Name: "CAB", Decision: "approved"}})
	if got, err := n.Record(t.Context(), spec); err != nil || !got.Starts.IsZero() || strings.TrimSpace(got.Plan) != "" {
		t.Errorf("empty fields: %+v, %v", got, err)
	}
	c.Fields.Plan = ""
	if n := newNotifier(t, c); n.Readable() == nil {
		t.Error("without a field for the plan it says that it can be read")
	} else if _, err := n.Record(t.Context(), spec); !backout.IsPermanent(err) {
		t.Errorf("without a field for the plan: %v", err)
	}
}

func TestAnExpiredTokenIsFetchedAnew(t *testing.T) {
	j, c := site(t, true)
	c.Auth = notifier.Auth{TokenURL: c.URL + "/oauth/token", ClientID: itsmfake.Client, ClientSecret: backout.SecretValue(notifiertest.SecretText)}
	n := newNotifier(t, c)
	send(t, n, message(backout.MomentHeld))
	j.Expire()
	if _, err := n.Record(t.Context(), spec); err != nil || j.Tokens() != 2 {
		t.Errorf("%v after %d tokens", err, j.Tokens())
	}
}

func TestSectionsThatAreWrong(t *testing.T) {
	good := Config{URL: "https://x.atlassian.net", Auth: notifier.Auth{Token: backout.SecretValue("x")}, Fields: fields}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(*Config)
		says  string
	}{
		"address":  {func(c *Config) { c.URL = "x.atlassian.net" }, "url"},
		"nobody":   {func(c *Config) { c.Auth = notifier.Auth{} }, "who backout is"},
		"record":   {func(c *Config) { c.Record = "ops" }, "record"},
		"field":    {func(c *Config) { c.Fields.Plan = "Back-out plan" }, "fields"},
		"approved": {func(c *Config) { c.Approved = []string{""} }, "approved"},
		"project":  {func(c *Config) { c.Incident = &Incident{Project: `x" OR`} }, "incident"},
	} {
		bad := good
		c.spoil(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
