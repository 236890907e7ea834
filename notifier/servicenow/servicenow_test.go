package servicenow

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/itsmfake"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

const number = "CHG0030001"

// instance starts a simulated instance with one approved change request.
func instance(t *testing.T) (*itsmfake.ServiceNow, string) {
	t.Helper()
	s := itsmfake.NewServiceNow(notifiertest.SecretText)
	s.AddChange(number, map[string]string{
		"approval": "approved", "state": "-2", "start_date": "2026-03-14 01:00:00", "end_date": "2026-03-14 04:00:00",
		"backout_plan": "Call Ana.\r\nUndo by hand.",
	})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func basic(url string) Config {
	return Config{URL: url, Auth: notifier.Auth{Username: itsmfake.User, Password: backout.SecretValue(notifiertest.SecretText)}}
}

func newNotifier(t *testing.T, c Config) *Notifier {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func message(moment backout.Moment) backout.Message {
	m, _ := notifier.Default().Render(Kind().Style(), notifier.Samples(moment)[0], nil)
	return m
}

func send(t *testing.T, n *Notifier, m backout.Message) {
	t.Helper()
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// peer is an instance that forgets what it was told, as the suite wants.
type peer struct {
	t *testing.T
	s *itsmfake.ServiceNow
}

// Set implements [notifiertest.Peer].
func (p peer) Set(a notifiertest.Answer) {
	p.s.Fail(map[notifiertest.Answer]itsmfake.Fault{
		notifiertest.Fail: itsmfake.Status(502), notifiertest.Refuse: itsmfake.Status(403),
		notifiertest.Later: itsmfake.Status(429, "Retry-After", "120"), notifiertest.Hang: itsmfake.Hang,
	}[a])
}

// Deliveries implements [notifiertest.Peer].
func (p peer) Deliveries() []notifiertest.Delivery {
	var out []notifiertest.Delivery
	for _, note := range p.s.Take() {
		subject, rest, _ := strings.Cut(note, "\n\n")
		at := strings.LastIndex(rest, "\n\nbackout notice ")
		if at < 0 {
			p.t.Errorf("a note without its tag: %q", note)
			continue
		}
		d := notifiertest.Delivery{Subject: subject, Text: rest[:at], ID: rest[at:]}
		if strings.Contains(strings.ToLower(note), "[code]") {
			d.Shape = append(d.Shape, "HTML")
		}
		out = append(out, d)
	}
	return out
}

func TestConformance(t *testing.T) {
	notifiertest.Run(t, notifiertest.Subject{
		Kind: Kind(), NoThreads: true,
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			s, url := instance(t)
			s.Any = true
			c := basic(url)
			c.Record = "CHG0000001"
			return newNotifier(t, c), peer{t, s}
		},
	})
}

func TestNothingIsWrittenTwice(t *testing.T) {
	for _, lost := range []struct{ method, end string }{{"POST", "/incident"}, {"PATCH", ""}} {
		s, url := instance(t)
		c := basic(url)
		c.Incidents = true
		n := newNotifier(t, c)
		m := message(backout.MomentRed)
		s.Fail(itsmfake.LoseAnswer(s.Handler(), lost.method, lost.end))
		if _, err := n.Notify(t.Context(), m); err == nil || backout.IsPermanent(err) {
			t.Fatalf("with the answer to %s lost: %v", lost.method, err)
		}
		s.Fail(nil)
		send(t, n, m)
		send(t, n, m)
		if got := s.Change(number); len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "Incident: INC0000001") {
			t.Errorf("%s: %d notes: %q", lost.method, len(got.Notes), got.Notes)
		}
		if got := s.Incidents(); len(got) != 1 || len(got[0].Notes) != 0 {
			t.Errorf("%s: incidents %+v", lost.method, got)
		}
	}
}

func TestAnAttackersTextKeepsNoNoteAway(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	first := message(backout.MomentHeld)
	second := message(backout.MomentResumed)
	first.Text += "\n\nbackout notice " + notifier.Key(second.Notice.ID)
	send(t, n, first)
	send(t, n, second)
	if got := s.Change(number).Notes; len(got) != 2 {
		t.Errorf("%d notes, want both: %q", len(got), got)
	}
}

func TestThePlanStandsInItsColumnBesidePeoplesWords(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	send(t, n, message(backout.MomentGateRefused))
	if got := s.Change(number).Columns["backout_plan"]; strings.Contains(got, "sha256") {
		t.Errorf("the plan that was refused was written: %q", got)
	}
	m := message(backout.MomentWindowOpened)
	send(t, n, m)
	got := s.Change(number).Columns["backout_plan"]
	for _, want := range []string{"Call Ana.\nUndo by hand.", m.Notice.PlanHash, "L1 uninstall the patch: dnf.undo\nL2 restore the snapshot: lvm.merge\nL3 rebuild"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	next := message(backout.MomentLevelStarted)
	next.Notice.PlanHash, next.Notice.PlanText = "sha256:other", "L1 other"
	s.Set(number, map[string]string{"backout_plan": got + "\n\nAdded by Ana."})
	send(t, n, next)
	got = s.Change(number).Columns["backout_plan"]
	if strings.Contains(got, m.Notice.PlanHash) || !strings.Contains(got, "sha256:other") || !strings.Contains(got, "Call Ana.") || !strings.Contains(got, "Added by Ana.") {
		t.Errorf("after another plan:\n%s", got)
	}
}

func TestAColumnThatDoesNotTakeThePlanLeavesItInANote(t *testing.T) {
	for name, spoil := range map[string]func(*itsmfake.ServiceNow){
		"closed": func(s *itsmfake.ServiceNow) { s.Close("backout_plan") },
		"short":  func(s *itsmfake.ServiceNow) { s.Longest = 120 },
	} {
		s, url := instance(t)
		spoil(s)
		n := newNotifier(t, basic(url))
		send(t, n, message(backout.MomentWindowOpened))
		send(t, n, message(backout.MomentLevelStarted))
		notes := s.Change(number).Notes
		with := slices.DeleteFunc(slices.Clone(notes), func(n string) bool { return !strings.Contains(n, "L2 restore the snapshot: lvm.merge") })
		if len(notes) != 3 || len(with) != 1 {
			t.Errorf("%s: the plan is in %d of %d notes, want in one of three: %q", name, len(with), len(notes), notes)
		}
	}
}

// TestThePlanIsWrittenOnce: also where its text is not stored as it came.
func TestThePlanIsWrittenOnce(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	m := message(backout.MomentLevelStarted)
	m.Notice.PlanText = "L1 [code]x[/code]"
	send(t, n, m)
	was := s.Change(number).Columns["backout_plan"]
	s.Set(number, map[string]string{"backout_plan": strings.ReplaceAll(was, "\n", "\r\n")})
	s.Close("backout_plan") // a second writing would leave a note
	m.Notice.ID = "other"
	send(t, n, m)
	if got := s.Change(number).Notes; len(got) != 2 {
		t.Errorf("%d notes: %q", len(got), got)
	}
}

func TestTheOutcomeIsCloseCodeAndNotes(t *testing.T) {
	for outcome, want := range map[backout.ChangeState]string{
		backout.ChangeClosed: "successful", backout.ChangeBackedOut: "unsuccessful", backout.ChangeBackoutFailed: "own", "": "",
	} {
		s, url := instance(t)
		c := basic(url)
		c.CloseCodes.BackoutFailed = "own"
		m := message(backout.MomentWindowClosed)
		m.Notice.Outcome = outcome
		send(t, newNotifier(t, c), m)
		got := s.Change(number).Columns
		if got["close_code"] != want || (got["close_notes"] != "") != (want != "") || got["state"] != "-2" {
			t.Errorf("%s: close code %q, notes %q, state %s", outcome, got["close_code"], got["close_notes"], got["state"])
		}
	}
	s, url := instance(t)
	s.Set(number, map[string]string{"close_code": "successful_issues", "close_notes": "mine"})
	m := message(backout.MomentWindowClosed)
	m.Notice.Outcome = backout.ChangeBackedOut
	send(t, newNotifier(t, basic(url)), m)
	if got := s.Change(number).Columns; got["close_code"] != "successful_issues" || got["close_notes"] != "mine" {
		t.Errorf("what people wrote was overwritten: %+v", got)
	}
}

func TestOneIncidentForEachRollback(t *testing.T) {
	s, url := instance(t)
	c := basic(url)
	c.Incidents, c.IncidentColumns = true, map[string]string{"assignment_group": "Web"}
	n := newNotifier(t, c)
	for _, moment := range []backout.Moment{backout.MomentWindowOpened, backout.MomentRed, backout.MomentLevelStarted, backout.MomentExhausted, backout.MomentAborted} {
		send(t, n, message(moment))
	}
	got := s.Incidents()
	if len(got) != 1 || len(got[0].Notes) != 2 {
		t.Fatalf("%d incidents: %+v", len(got), got)
	}
	columns := got[0].Columns
	if columns["caused_by"] != s.Change(number).Columns["sys_id"] || columns["assignment_group"] != "Web" || columns["correlation_id"] == "" {
		t.Errorf("incident %+v", columns)
	}
	other := message(backout.MomentRed)
	other.Notice.RollbackID, other.Notice.ID = "CHG0030001-r2", "CHG0030001-r2.1.0"
	send(t, n, other)
	if got := s.Incidents(); len(got) != 2 {
		t.Errorf("%d incidents for two rollbacks", len(got))
	}
}

// TestAnIncidentThatCannotBeKeepsNoNoteAway: who may not write incidents still has the
// change request told, once, and hears of it.
func TestAnIncidentThatCannotBeKeepsNoNoteAway(t *testing.T) {
	s, url := instance(t)
	c := basic(url)
	c.Incidents = true
	n := newNotifier(t, c)
	refused := func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/incident") && itsmfake.Status(403)(w, r)
	}
	// While the change request cannot be told either, it is worth another try.
	s.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return refused(w, r) || r.Method == http.MethodPatch && itsmfake.Status(503)(w, r)
	})
	m := message(backout.MomentRed)
	if _, err := n.Notify(t.Context(), m); err == nil || backout.IsPermanent(err) {
		t.Errorf("nothing could be written: %v", err)
	}
	s.Fail(refused)
	for range 2 {
		if _, err := n.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "incident") {
			t.Errorf("the incident cannot be: %v", err)
		}
	}
	if got := s.Change(number).Notes; len(got) != 1 || !strings.Contains(got[0], "There is no incident of this") {
		t.Errorf("notes %q", got)
	}
}

func TestOfTwoIncidentsTheOldestIsTold(t *testing.T) {
	s, url := instance(t)
	c := basic(url)
	c.Incidents = true
	n := newNotifier(t, c)
	send(t, n, message(backout.MomentRed))
	s.AddIncident(map[string]string{"correlation_id": s.Incidents()[0].Columns["correlation_id"]})
	send(t, n, message(backout.MomentExhausted))
	got := s.Incidents()
	if len(got) != 2 || len(got[0].Notes) != 1 || len(got[1].Notes) != 0 {
		t.Errorf("incidents %+v", got)
	}
	notes := s.Change(number).Notes
	if last := notes[len(notes)-1]; !strings.Contains(last, "the oldest of several; another is INC0000002") {
		t.Errorf("the change request does not say so: %q", last)
	}
}

func TestARollbackWithoutIncidentsOpensNone(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	send(t, n, message(backout.MomentRed))
	if got := s.Incidents(); len(got) != 0 {
		t.Errorf("incidents %+v", got)
	}
	if got := s.Requests(); slices.ContainsFunc(got, func(r string) bool { return strings.Contains(r, "incident") }) {
		t.Errorf("requests %q", got)
	}
}

func TestHostileTextsStayTexts(t *testing.T) {
	s, url := instance(t)
	c := basic(url)
	c.Incidents = true
	n := newNotifier(t, c)
	want := []string(nil)
	for i, text := range append(notifiertest.Hostile(), "[code]<b>x</b>[/code]", "[CODE]x", "number=CHG1^ORactive=true", "--- end of the plan of backout ---") {
		m := message(backout.MomentRed)
		m.Notice.RollbackID, m.Notice.PlanText, m.Notice.PlanHash, m.Notice.ID = fmt.Sprint(i, text), text, text, text
		m.Text, m.Subject = notifier.Plain(text)+".", notifier.OneLine(notifier.Plain(text))+"."
		send(t, n, m)
		all := s.Incidents()
		made := all[len(all)-1].Columns
		var names []string
		for name := range made {
			names = append(names, name)
		}
		slices.Sort(names)
		if want == nil {
			want = names
		}
		if d := cmp.Diff(want, names); d != "" || len(all) != i+1 {
			t.Errorf("text %d: %d incidents, columns (-want +got):\n%s", i, len(all), d)
		}
		for _, shown := range append([]string{made["description"], s.Change(number).Columns["backout_plan"]}, s.Take()...) {
			if strings.Contains(strings.ToLower(shown), "[code") || strings.Contains(strings.ToLower(shown), "[/code") {
				t.Errorf("text %d becomes HTML: %q", i, shown)
			}
		}
	}
	if got := s.Change(number).Columns["backout_plan"]; strings.Count(got, "--- end of the plan of backout ---") != 1 {
		t.Errorf("the plan is there more than once, or has no end:\n%s", got)
	}
}

func TestWhatBelongsToNoRecord(t *testing.T) {
	s, url := instance(t)
	without := newNotifier(t, basic(url))
	c := basic(url)
	c.Record = number
	with := newNotifier(t, c)
	for _, moment := range []backout.Moment{backout.MomentMonitoringBlind, backout.MomentMonitoringBack} {
		if _, err := without.Notify(t.Context(), message(moment)); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "record: CHG") {
			t.Errorf("%s: %v", moment, err)
		}
		send(t, with, message(moment))
	}
	m := message(backout.MomentHeld)
	m.Notice.ChangeID = "a.b"
	if _, err := without.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "label itsm") {
		t.Errorf("no number: %v", err)
	}
	send(t, with, m)
	if got := s.Change(number).Notes; len(got) != 3 {
		t.Errorf("%d notes: %q", len(got), got)
	}
	send(t, without, message(backout.MomentTest))
	s.Fail(itsmfake.Status(401))
	if _, err := without.Notify(t.Context(), message(backout.MomentTest)); !backout.IsPermanent(err) {
		t.Errorf("a test with a wrong password: %v", err)
	}
}

// TestAnIdThatNamesNoRecord: most ids of changes could be numbers and are none. Their
// notices go where those of no record go, and only the first asks whether there is one.
func TestAnIdThatNamesNoRecord(t *testing.T) {
	s, url := instance(t)
	c := basic(url)
	c.Record = number
	with, without := newNotifier(t, c), newNotifier(t, basic(url))
	m := message(backout.MomentHeld)
	m.Notice.ChangeID = "web-openssl"
	if _, err := without.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "web-openssl: not found") {
		t.Errorf("without a record: %v", err)
	}
	before := len(s.Requests())
	for i := range 3 {
		m.Notice.ID = fmt.Sprint("n", i)
		send(t, with, m)
	}
	// Each notice reads and writes; one more is asked for before the first.
	if got, calls := s.Change(number).Notes, len(s.Requests())-before; len(got) != 3 || calls != 7 {
		t.Errorf("%d notes with %d calls: %q", len(got), calls, got)
	}
	m.Notice.Labels = map[string]string{backout.LabelRecord: "CHG404"}
	if _, err := with.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "CHG404: not found") {
		t.Errorf("a label that names no record: %v", err)
	}
}

// TestARecordThatTheGateHasReadGetsTheNotices: whoever is told that there is none makes
// it, and the notices of the window that then opens belong there.
func TestARecordThatTheGateHasReadGetsTheNotices(t *testing.T) {
	s, url := instance(t)
	c := basic(url)
	c.Record = number
	n := newNotifier(t, c)
	m := message(backout.MomentGateRefused)
	m.Notice.ChangeID = "CHG0030002"
	send(t, n, m)
	s.AddChange("CHG0030002", map[string]string{"approval": "approved", "state": "-2"})
	if _, err := n.Record(t.Context(), backout.ChangeSpec{ID: "CHG0030002"}); err != nil {
		t.Fatal(err)
	}
	m = message(backout.MomentWindowOpened)
	m.Notice.ChangeID = "CHG0030002"
	send(t, n, m)
	got := s.Change("CHG0030002")
	if len(got.Notes) != 1 || !strings.Contains(got.Columns["backout_plan"], m.Notice.PlanHash) || len(s.Change(number).Notes) != 1 {
		t.Errorf("%d notes in its record, %d in the channel's, plan %q", len(got.Notes), len(s.Change(number).Notes), got.Columns["backout_plan"])
	}
}

// TestAnotherRecordKeepsItsColumns: plan and outcome are of the change's own record; in
// the one for all others they would stand for whatever came last.
func TestAnotherRecordKeepsItsColumns(t *testing.T) {
	for _, id := range []string{"web-openssl", "a.b"} {
		s, url := instance(t)
		c := basic(url)
		c.Record = number
		n := newNotifier(t, c)
		opened, closed := message(backout.MomentWindowOpened), message(backout.MomentWindowClosed)
		opened.Notice.ChangeID, closed.Notice.ChangeID = id, id
		closed.Notice.Outcome = backout.ChangeClosed
		send(t, n, opened)
		send(t, n, closed)
		got := s.Change(number)
		if got.Columns["backout_plan"] != "Call Ana.\r\nUndo by hand." || got.Columns["close_code"] != "" || got.Columns["close_notes"] != "" || len(got.Notes) != 2 {
			t.Errorf("%s: %d notes, and columns of another change: %+v", id, len(got.Notes), got.Columns)
		}
	}
}

func TestTheLabelNamesTheRecord(t *testing.T) {
	s, url := instance(t)
	n := newNotifier(t, basic(url))
	m := message(backout.MomentHeld)
	m.Notice.ChangeID, m.Notice.Labels = "web-patch", map[string]string{backout.LabelRecord: number}
	send(t, n, m)
	if got := s.Change(number).Notes; len(got) != 1 {
		t.Errorf("notes %q", got)
	}
	m.Notice.Labels[backout.LabelRecord] = "CHG404"
	if _, err := n.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "CHG404: not found") {
		t.Errorf("a record that is not there: %v", err)
	}
	s.AddChange("CHG2", nil)
	s.AddChange("CHG2", nil)
	m.Notice.Labels[backout.LabelRecord] = "CHG2"
	if _, err := n.Notify(t.Context(), m); !backout.IsPermanent(err) || !strings.Contains(err.Error(), "two change requests") {
		t.Errorf("two records of a number: %v", err)
	}
}
