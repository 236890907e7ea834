package jira

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsm"
	"github.com/backout-io/backout/internal/itsmfake"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

const key = "CHG-1"

var fields = Fields{Start: "customfield_1", End: "customfield_2", Plan: "customfield_3"}

// site starts a simulated site with one approved change.
func site(t *testing.T, cloud bool) (*itsmfake.Jira, Config) {
	t.Helper()
	j := itsmfake.NewJira(notifiertest.SecretText, cloud, fields.Plan)
	var plan any = "Call Ana.\nUndo by hand."
	if cloud {
		plan = itsm.Document("Call Ana.\nUndo by hand.")
	}
	j.AddIssue(key, map[string]any{
		"status": itsmfake.JiraStatus("Awaiting implementation", "indeterminate"), fields.Plan: plan,
		fields.Start: "2026-03-14T01:00:00.000+0000", fields.End: "2026-03-14T05:00:00.000+0100",
	})
	j.Approve(key, []itsmfake.Approval{{Name: "CAB", Decision: "approved"}})
	server := httptest.NewServer(j)
	t.Cleanup(server.Close)
	return j, Config{
		URL: server.URL, Auth: notifier.Auth{Username: itsmfake.User, Password: backout.SecretValue(notifiertest.SecretText)},
		DataCenter: !cloud, Fields: fields,
	}
}

func both(t *testing.T, run func(t *testing.T, cloud bool)) {
	t.Run("cloud", func(t *testing.T) { run(t, true) })
	t.Run("data center", func(t *testing.T) { run(t, false) })
}

func newNotifier(t *testing.T, c Config) *Notifier {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// message is a sample notice of a change that has an issue.
func message(moment backout.Moment) backout.Message {
	notice := notifier.Samples(moment)[0]
	if notice.ChangeID != "" {
		notice.ChangeID = key
	}
	m, _ := notifier.Default().Render(Kind().Style(), notice, nil)
	return m
}

func send(t *testing.T, n *Notifier, m backout.Message) {
	t.Helper()
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// peer is a site that forgets what it was told, as the suite wants.
type peer struct {
	t *testing.T
	j *itsmfake.Jira
}

// Set implements [notifiertest.Peer].
func (p peer) Set(a notifiertest.Answer) {
	p.j.Fail(map[notifiertest.Answer]itsmfake.Fault{
		notifiertest.Fail: itsmfake.Status(502), notifiertest.Refuse: itsmfake.Status(403),
		notifiertest.Later: itsmfake.Status(429, "Retry-After", "120"), notifiertest.Hang: itsmfake.Hang,
	}[a])
}

// Deliveries implements [notifiertest.Peer].
func (p peer) Deliveries() []notifiertest.Delivery {
	var out []notifiertest.Delivery
	for _, c := range p.j.Take() {
		subject, rest, _ := strings.Cut(c.Text, "\n\n")
		at := strings.LastIndex(rest, "\n\nbackout notice ")
		if at < 0 {
			p.t.Errorf("a comment without its tag: %q", c.Text)
			continue
		}
		d := notifiertest.Delivery{Subject: subject, Text: rest[:at], ID: rest[at:], Shape: shape(c)}
		if string(c.Properties["sd.public.comment"]) != `{"internal":true}` {
			p.t.Errorf("customers see the comment: %s", c.Properties)
		}
		out = append(out, d)
	}
	return out
}

// shape is what of a comment is more than text.
func shape(c itsmfake.Comment) []string {
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if kind, _ := v["type"].(string); kind != "" && !slices.Contains([]string{"doc", "paragraph", "text", "hardBreak"}, kind) {
				out = append(out, "node "+kind)
			}
			if v["marks"] != nil {
				out = append(out, "mark")
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		case string:
			if strings.Contains(v, "[~") {
				out = append(out, "mention")
			}
		}
	}
	var body any
	if err := json.Unmarshal(c.Body, &body); err != nil {
		return []string{err.Error()}
	}
	if text, ok := body.(string); ok {
		walk(text)
		out = append(out, strings.Repeat("markup ", strings.Count(strings.ToLower(text), "{noformat")))
	} else {
		walk(body)
		out = slices.DeleteFunc(out, func(s string) bool { return s == "mention" }) // text in a document mentions nobody
	}
	return out
}

func TestConformance(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		notifiertest.Run(t, notifiertest.Subject{
			Kind: Kind(), NoThreads: true,
			New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
				j, c := site(t, cloud)
				c.Record = key
				return newNotifier(t, c), peer{t, j}
			},
		})
	})
}

func TestNothingIsWrittenTwice(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		for _, lost := range []struct{ method, end string }{{"PUT", key}, {"POST", "/issue"}, {"POST", "/issueLink"}, {"POST", "/comment"}} {
			j, c := site(t, cloud)
			c.Incident = &Incident{Project: "INC"}
			n := newNotifier(t, c)
			m := message(backout.MomentRed)
			j.Fail(itsmfake.LoseAnswer(j.Handler(), lost.method, lost.end))
			if _, err := n.Notify(t.Context(), m); err == nil || backout.IsPermanent(err) {
				t.Fatalf("with the answer to %s lost: %v", lost.end, err)
			}
			j.Fail(nil)
			send(t, n, m)
			send(t, n, m)
			if got := j.Issue(key).Comments; len(got) != 1 || !strings.Contains(got[0].Text, "Incident: INC-2") {
				t.Errorf("%s: %d comments: %+v", lost.end, len(got), got)
			}
			if got := j.Keys(); len(got) != 2 || len(j.Issue("INC-2").Comments) != 0 {
				t.Errorf("%s: issues %q, comments %+v", lost.end, got, j.Issue("INC-2").Comments)
			}
			if got := j.Links(); len(got) != 1 || got[0] != (itsmfake.Link{Type: "Relates", Inward: "INC-2", Outward: key}) {
				t.Errorf("%s: links %+v", lost.end, got)
			}
		}
	})
}

func TestThePlanStandsInItsFieldBesidePeoplesWords(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		n := newNotifier(t, c)
		read := func() string {
			raw, _ := json.Marshal(j.Issue(key).Fields[fields.Plan])
			return itsm.FieldText(raw)
		}
		send(t, n, message(backout.MomentGateRefused))
		if got := read(); strings.Contains(got, "sha256") {
			t.Errorf("the plan that was refused was written: %q", got)
		}
		m := message(backout.MomentWindowOpened)
		send(t, n, m)
		for _, want := range []string{"Call Ana.\nUndo by hand.", m.Notice.PlanHash, "L1 uninstall the patch: dnf.undo\nL2 restore"} {
			if got := read(); !strings.Contains(got, want) {
				t.Errorf("%q is not in:\n%s", want, got)
			}
		}
		before := len(j.Requests())
		send(t, n, message(backout.MomentLevelStarted))
		if got := j.Requests()[before:]; slices.Contains(got, "PUT /rest/api/3/issue/CHG-1") || slices.Contains(got, "PUT /rest/api/2/issue/CHG-1") {
			t.Errorf("the same plan was written again: %q", got)
		}
		m = message(backout.MomentEscalated)
		m.Notice.PlanHash = "sha256:other"
		send(t, n, m)
		if got := read(); strings.Count(got, "--- plan of backout") != 1 || !strings.Contains(got, "sha256:other") || !strings.Contains(got, "Call Ana.") {
			t.Errorf("after another plan:\n%s", got)
		}
	})
}

func TestAClosedFieldLeavesThePlanInAComment(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		j.Close(fields.Plan)
		n := newNotifier(t, c)
		send(t, n, message(backout.MomentWindowOpened))
		send(t, n, message(backout.MomentLevelStarted))
		with := 0
		for _, c := range j.Issue(key).Comments {
			if strings.Contains(c.Text, "L2 restore the snapshot: lvm.merge") {
				with++
			}
		}
		if got := j.Issue(key).Comments; len(got) != 3 || with != 1 {
			t.Errorf("the plan is in %d of %d comments, want in one of three", with, len(got))
		}
	})
}

func TestOneIncidentForEachRollback(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		c.Incident = &Incident{Project: "INC", Type: "Bug", Link: "Problem/Incident"}
		n := newNotifier(t, c)
		for _, moment := range []backout.Moment{backout.MomentRecovered, backout.MomentRed, backout.MomentExhausted} {
			send(t, n, message(moment))
		}
		if got := j.Keys(); len(got) != 2 || len(j.Issue("INC-2").Comments) != 1 {
			t.Fatalf("issues %q", got)
		}
		labels, _ := json.Marshal(j.Issue("INC-2").Fields["labels"])
		j.AddIssue("INC-9", map[string]any{"labels": json.RawMessage(labels)})
		send(t, n, message(backout.MomentAborted))
		if a, b := j.Issue("INC-2").Comments, j.Issue("INC-9").Comments; len(a) != 2 || len(b) != 0 {
			t.Errorf("of two with one label: %d and %d comments", len(a), len(b))
		}
		all := j.Issue(key).Comments
		if last := all[len(all)-1].Text; !strings.Contains(last, "the oldest of several; another is INC-9") {
			t.Errorf("the change does not say so: %q", last)
		}
	})
}

// TestALinkThatCannotBeKeepsNoCommentAway: with a link type that is not there the issue of
// the change is told all the same, once.
func TestALinkThatCannotBeKeepsNoCommentAway(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		c.Incident = &Incident{Project: "INC"}
		n := newNotifier(t, c)
		j.Fail(func(w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "/issueLink") && itsmfake.Status(404)(w, r)
		})
		m := message(backout.MomentRed)
		for range 2 {
			if _, err := n.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "link incident") {
				t.Errorf("the link cannot be: %v", err)
			}
		}
		if got := j.Issue(key).Comments; len(got) != 1 || !strings.Contains(got[0].Text, "There is no incident of this, or it was not told") {
			t.Errorf("comments %+v", got)
		}
	})
}

func TestHostileTextsStayTexts(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		c.Incident = &Incident{Project: "INC"}
		n := newNotifier(t, c)
		texts := append(notifiertest.Hostile(), "{noformat}[~admin]{noformat}", "{NoFormat}h1. x", "[~accountid:1]", "[x|https://evil.example]", "!https://evil.example/x.png!", "|| a || b ||",
			`" OR labels = "x`, "--- end of the plan of backout ---")
		for i, text := range texts {
			m := message(backout.MomentRed)
			m.Notice.RollbackID, m.Notice.PlanText, m.Notice.ID = fmt.Sprint(i, text), text, text
			m.Text, m.Subject = notifier.Plain(text)+".", notifier.Cut(notifier.OneLine(notifier.Plain(text)), 200)+"."
			send(t, n, m)
			for _, c := range j.Take() {
				if got := shape(c); len(got) > 1 || len(got) == 1 && got[0] != "markup markup " || strings.Contains(c.Text, "<markup>") || cloud && len(got) > 0 {
					t.Errorf("text %d (%.40q) has the shape %q: %s", i, text, got, c.Body)
				}
			}
		}
		if got := j.Keys(); len(got) != len(texts)+1 {
			t.Errorf("%d issues of %d rollbacks", len(got)-1, len(texts))
		}
	})
}

func TestWhatBelongsToNoIssue(t *testing.T) {
	j, c := site(t, true)
	without := newNotifier(t, c)
	c.Record = key
	with := newNotifier(t, c)
	if _, err := without.Notify(t.Context(), message(backout.MomentMonitoringBlind)); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "record: OPS-1") {
		t.Errorf("about no change: %v", err)
	}
	m := message(backout.MomentHeld)
	m.Notice.ChangeID = "CHG0030001"
	if _, err := without.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "label itsm") {
		t.Errorf("no key: %v", err)
	}
	send(t, with, m)
	send(t, with, message(backout.MomentMonitoringBlind))
	m.Notice.Labels = map[string]string{backout.LabelRecord: key}
	m.Notice.ID = "other"
	send(t, without, m)
	if got := j.Issue(key).Comments; len(got) != 3 {
		t.Errorf("%d comments", len(got))
	}
	m.Notice.Labels[backout.LabelRecord] = "CHG-404"
	if _, err := without.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "CHG-404") {
		t.Errorf("an issue that is not there: %v", err)
	}
	send(t, without, message(backout.MomentTest))
}

// TestAKeyThatNamesNoIssue: the notices of a change whose id only looks like a key go
// where those of no issue go, and not every one asks whether there is one.
func TestAKeyThatNamesNoIssue(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		c.Record, c.Incident = key, &Incident{Project: "INC"}
		n := newNotifier(t, c)
		plan := fmt.Sprint(j.Issue(key).Fields[fields.Plan])
		m := message(backout.MomentLevelStarted)
		m.Notice.ChangeID = "WEB-404"
		before := len(j.Requests())
		for i := range 3 {
			m.Notice.ID = fmt.Sprint("n", i)
			send(t, n, m)
		}
		// Each notice looks and writes; one more is asked for before the first.
		if got, calls := j.Issue(key), len(j.Requests())-before; len(got.Comments) != 3 || calls != 7 || fmt.Sprint(got.Fields[fields.Plan]) != plan {
			t.Errorf("%d comments with %d calls, plan %v", len(got.Comments), calls, got.Fields[fields.Plan])
		}
		m.Notice.Labels = map[string]string{backout.LabelRecord: "WEB-404"}
		if _, err := n.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "WEB-404") {
			t.Errorf("a label that names no issue: %v", err)
		}
	})
}

// TestAnIssueThatTheGateHasReadGetsTheNotices: whoever is told that there is none makes
// it, and the notices of the window that then opens belong there.
func TestAnIssueThatTheGateHasReadGetsTheNotices(t *testing.T) {
	both(t, func(t *testing.T, cloud bool) {
		j, c := site(t, cloud)
		c.Record = key
		n := newNotifier(t, c)
		m := message(backout.MomentGateRefused)
		m.Notice.ChangeID = "OPS-17"
		send(t, n, m)
		j.AddIssue("OPS-17", map[string]any{fields.Plan: nil, fields.Start: "2026-03-14T01:00:00.000+0000", fields.End: "2026-03-14T04:00:00.000+0000"})
		j.Approve("OPS-17", []itsmfake.Approval{})
		if _, err := n.Record(t.Context(), backout.ChangeSpec{ID: "OPS-17"}); err != nil {
			t.Fatal(err)
		}
		m = message(backout.MomentWindowOpened)
		m.Notice.ChangeID = "OPS-17"
		send(t, n, m)
		raw, _ := json.Marshal(j.Issue("OPS-17").Fields[fields.Plan])
		if got := j.Issue("OPS-17").Comments; len(got) != 1 || !strings.Contains(itsm.FieldText(raw), m.Notice.PlanHash) || len(j.Issue(key).Comments) != 1 {
			t.Errorf("%d comments in its issue, %d in the channel's, plan %s", len(got), len(j.Issue(key).Comments), raw)
		}
	})
}

// TestAPageThatSaysNotFoundIsOfNoIssue: a proxy answers so while the site is away.
func TestAPageThatSaysNotFoundIsOfNoIssue(t *testing.T) {
	j, c := site(t, true)
	c.Record = key
	j.AddIssue("OPS-17", nil)
	n := newNotifier(t, c)
	m := message(backout.MomentHeld)
	m.Notice.ChangeID = "OPS-17"
	j.Fail(itsmfake.Status(404))
	if _, err := n.Notify(t.Context(), m); !backout.IsPermanent(err) {
		t.Errorf("nothing is there: %v", err)
	}
	j.Fail(nil)
	m.Notice.ID = "other"
	send(t, n, m)
	if own, others := len(j.Issue("OPS-17").Comments), len(j.Issue(key).Comments); own != 1 || others != 0 {
		t.Errorf("%d comments in its issue, %d in the channel's", own, others)
	}
}
