package dashboard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// aChange is a change whose window is in that state.
func aChange(id string, state backout.ChangeState, targets ...string) backout.Change {
	now := time.Now()
	return backout.Change{
		ChangeSpec: backout.ChangeSpec{
			ID: id, Title: "openssl", Targets: targets,
			Window: backout.Window{Opens: now.Add(-time.Hour), Closes: now.Add(time.Hour)},
		},
		State: state,
	}
}

func red(target, alert string, changes ...string) handlers.RedAlert {
	return handlers.RedAlert{Target: target, ChangeIDs: changes, Alert: backout.Alert{
		Firing: true, StartsAt: time.Now().Add(-time.Minute), Labels: map[string]string{"alertname": alert}, Annotations: map[string]string{"summary": alert + " is down"},
	}}
}

// TestNowSaysWhatIsRedAndWhatFollows.
func TestNowSaysWhatIsRedAndWhatFollows(t *testing.T) {
	unready := aChange("CHG2", backout.ChangeWatching, "db-1")
	unready.NotReady = []backout.Violation{{Check: "snapshot", Reason: "no space"}}
	next := aChange("CHG3", backout.ChangeReady, "web-9")
	next.Window.Opens = time.Now().Add(2 * time.Hour)
	later := aChange("CHG4", backout.ChangePlanned, "web-9")
	later.Window.Opens = time.Now().Add(3 * time.Hour)
	f := &fake{
		rollbacks: []backout.Rollback{deciding("CHG1-r1")},
		changes:   []backout.Change{aChange("CHG1", backout.ChangeBackingOut, "web-1"), unready, later, next, aChange("CHG5", backout.ChangeClosed)},
		red: []handlers.RedAlert{
			red("web-1", "InARollback", "CHG1"), red("db-1", "DBSlow", "CHG2"), red("mail-1", "OfNoChange"),
		},
		undelivered: []handlers.NoticeStatus{
			{GivenUp: true, Notice: backout.Notice{At: time.Now()}}, {Notice: backout.Notice{At: time.Now().Add(-2 * time.Minute)}}, {Notice: backout.Notice{At: time.Now()}},
		},
	}
	page := siteOf(t, f).page("ann", "/")
	wants(t, page,
		"1 rollback under way", `id="CHG1-r1"`, `href="/rollbacks/CHG1-r1"`, "waits for a decision", "0 of 2 approvals by sre",
		"Red, and not being rolled back", "<strong>db-1</strong> DBSlow", "DBSlow is down", `href="/changes/CHG2"`,
		"The way back would not work any more", `href="/readiness#CHG2"`,
		"Windows open or watched", `href="/changes/CHG1"`,
		"Next: <a href=\"/changes/CHG3\">", "2 notices undelivered", `data-tone="bad"`, `hx-sse:connect="/live"`,
	)
	lacks(t, page, "InARollback", "OfNoChange", "CHG4", "CHG5", "All quiet")
}

// TestNowShowsNobodyWhatIsNotTheirs.
func TestNowShowsNobodyWhatIsNotTheirs(t *testing.T) {
	mine, theirs := running("WEB-r1"), running("DB-r1")
	theirs.Targets[0].Name = "db-1"
	f := &fake{
		rollbacks: []backout.Rollback{mine, theirs},
		changes:   []backout.Change{aChange("WEB", backout.ChangeOpen, "web-1"), aChange("DB", backout.ChangeOpen, "db-1")},
		red:       []handlers.RedAlert{red("web-2", "WebDown", "WEB"), red("db-2", "DBDown", "DB")},
		labels: map[string]map[string]string{
			"web-1": {"team": "web"}, "web-2": {"team": "web"}, "db-1": {"team": "db"}, "db-2": {"team": "db"},
		},
	}
	page := siteOf(t, f).page("wendy", "/")
	wants(t, page, "WEB-r1", "web-2", `href="/changes/WEB"`)
	lacks(t, page, "DB-r1", "db-1", "db-2", "DBDown", `href="/changes/DB"`)
}

// TestNowStaysShort, however much is red, and says how much more there is.
func TestNowStaysShort(t *testing.T) {
	f := &fake{}
	for i := range 1000 {
		id := fmt.Sprintf("CHG%04d", i)
		f.changes = append(f.changes, aChange(id, backout.ChangeWatching, "host-"+id))
		f.red = append(f.red, red("host-"+id, "Down", id))
	}
	page := siteOf(t, f).page("ann", "/")
	wants(t, page, fmt.Sprintf("and %d more", 1000-nowRed), fmt.Sprintf("%d more</a>", 1000-nowChanges))
	if n := strings.Count(page, "<li><span>"); n != nowRed+nowChanges {
		t.Errorf("it has %d rows", n)
	}
	if len(page) > 50<<10 {
		t.Errorf("it has %d bytes", len(page))
	}
}

// TestNowShowsTheMostUrgentRollbacks, and how many more there are: its title and heading
// count all.
func TestNowShowsTheMostUrgentRollbacks(t *testing.T) {
	f := &fake{offers: map[string][]handlers.Offer{}}
	for i := range 1000 {
		r := running(fmt.Sprintf("CHG%04d-r1", i))
		r.LevelDeadline = time.Now().Add(time.Hour - time.Duration(i)*time.Second)
		f.rollbacks = append(f.rollbacks, r)
		f.offers[r.ID] = []handlers.Offer{{Answer: "hold"}}
	}
	page := siteOf(t, f).page("ann", "/")
	wants(t, page, "1000 rollbacks under way", "<title>(1000) RED", fmt.Sprintf(`and <a href="/rollbacks">%d more</a>`, 1000-nowRollbacks), `id="CHG0999-r1"`)
	lacks(t, page, "CHG0000-r1")
	if n := strings.Count(page, "<article"); n != nowRollbacks {
		t.Errorf("it shows %d rollbacks", n)
	}
	if n := strings.Count(page, `value="hold"`); n != nowRollbacks {
		t.Errorf("%d can be held", n)
	}
}

// TestNowShowsTheReviewsThatAreOwed: of a level that one person started alone somebody
// else has to say what they found, also after the rollback has ended.
func TestNowShowsTheReviewsThatAreOwed(t *testing.T) {
	glass := func(id, reviewer string, status backout.RollbackStatus, ended time.Time) backout.Rollback {
		r := running(id)
		r.Status, r.EndedAt = status, ended
		r.Reviews = []backout.Review{{AskID: "q1", By: "bob", Reason: "alone", ReviewedBy: reviewer}}
		return r
	}
	now := time.Now()
	f := &fake{
		rollbacks: []backout.Rollback{
			glass("CHG1-r1", "", backout.RollbackRecovered, now.Add(-3*time.Hour)), glass("CHG2-r1", "carol", backout.RollbackRecovered, now),
		},
		offers: map[string][]handlers.Offer{"CHG1-r1": {{Answer: "review", AskID: "q1"}}},
	}
	s := siteOf(t, f)
	page := s.page("ann", "/")
	wants(t, page, "<h1>1 review owed</h1>", "<title>review owed", "To be reviewed", `href="/rollbacks/CHG1-r1"`, `value="review"`, `data-tone="wait"`, "Nothing is red on a live change")
	lacks(t, page, "All quiet", "CHG2-r1")
	lacks(t, s.page("vic", "/"), "CHG2-r1")

	// What is under way has a card already.
	s.set(func() { f.rollbacks[0].Status = backout.RollbackRunning })
	page = s.page("ann", "/")
	wants(t, page, "1 rollback under way")
	lacks(t, page, "To be reviewed")

	s.set(func() {
		f.rollbacks = nil
		for i := range 1000 {
			f.rollbacks = append(f.rollbacks, glass(fmt.Sprintf("CHG%04d-r1", i), "", backout.RollbackRecovered, now))
		}
	})
	page = s.page("ann", "/")
	wants(t, page, "1000 reviews owed", fmt.Sprintf("and %d more.", 1000-nowReviews))
	if n := strings.Count(page, "<article"); n != nowReviews {
		t.Errorf("it shows %d reviews", n)
	}
}

// TestNowFindsAnOldRedTarget, however many newer alerts are those of a rollback.
func TestNowFindsAnOldRedTarget(t *testing.T) {
	f := &fake{rollbacks: []backout.Rollback{running("CHG1-r1")}}
	of := f.rollbacks[0].Targets[0].Name
	for range 3000 {
		f.red = append(f.red, red(of, "Storm", "CHG1"))
	}
	f.red = append(f.red, red("db-1", "OldAndRed", "CHG2"))
	page := siteOf(t, f).page("ann", "/")
	wants(t, page, "Red, and not being rolled back", "<strong>db-1</strong> OldAndRed")
	lacks(t, page, "Storm")
}

// TestNowShowsWhatIsRedAgain: what a rollback has brought back it touches no more, so that
// its card says nothing of it when it is red again.
func TestNowShowsWhatIsRedAgain(t *testing.T) {
	r := running("CHG1-r1")
	r.Targets = append(r.Targets, backout.TargetState{Name: "web-2", Phase: backout.TargetRecovered}, backout.TargetState{Name: "web-3", Phase: backout.TargetRecovered})
	other := running("CHG2-r1") // is at work on what the first has brought back
	other.Targets[0].Name = "web-3"
	f := &fake{
		rollbacks: []backout.Rollback{r, other},
		red:       []handlers.RedAlert{red("web-1", "NotBackYet", "CHG1"), red("web-2", "DownAgain", "CHG1"), red("web-3", "AtWork", "CHG1")},
	}
	page := siteOf(t, f).page("ann", "/")
	wants(t, page, "Red, and not being rolled back", "<strong>web-2</strong> DownAgain", `was back in <a href="/rollbacks/CHG1-r1">CHG1-r1</a>`)
	lacks(t, page, "NotBackYet", "AtWork")
}

// TestNowShowsTheWindowsThatAreDueAndShut: one that the gate refuses, one that nobody has
// asked about; not those that are open, over, yet to come, or without a time.
func TestNowShowsTheWindowsThatAreDueAndShut(t *testing.T) {
	now := time.Now()
	refused := aChange("REFUSED", backout.ChangePlanned, "web-1")
	refused.Window.Auto, refused.GateAt, refused.Violations = true, now, []backout.Violation{{Check: "lvm", Target: "web-1", Reason: "no snapshot"}, {Check: "dnf", Target: "web-1", Reason: "no package"}}
	never := aChange("NEVER", backout.ChangePlanned, "web-2")
	never.Window.Closes = now.Add(10 * time.Minute)
	over := aChange("OVER", backout.ChangeReady, "web-3")
	over.Window.Closes = now.Add(-time.Minute)
	later := aChange("LATER", backout.ChangeReady, "web-4")
	later.Window.Opens = now.Add(time.Minute)
	anytime := aChange("ANYTIME", backout.ChangePlanned, "web-5")
	anytime.Window = backout.Window{}
	f := &fake{changes: []backout.Change{refused, never, over, later, anytime, aChange("OPEN", backout.ChangeOpen, "web-6"), aChange("GONE", backout.ChangeCancelled, "web-7")}}
	s := siteOf(t, f)
	page := s.page("ann", "/")
	_, shut, _ := strings.Cut(page, "Due, and not opened")
	shut, _, _ = strings.Cut(shut, "</section>")
	wants(t, shut, `href="/changes/REFUSED"`, "refused", ": 2 reasons", "the gate is asked again, and opens the window by itself", `href="/readiness?change=REFUSED#REFUSED"`,
		`href="/changes/NEVER"`, "never asked", "until then it may be opened", `<time class="count"`)
	lacks(t, shut, "OVER", "LATER", "ANYTIME", "OPEN", "GONE")
	if strings.Index(shut, "NEVER") > strings.Index(shut, "REFUSED") {
		t.Error("what is over last stands first")
	}
	wants(t, page, `data-tone="wait"`)

	s.set(func() { f.changes = []backout.Change{never} })
	wants(t, s.page("ann", "/"), "Due, and not opened", `data-tone="quiet"`)
	s.set(func() {
		f.changes = nil
		for i := range 100 {
			f.changes = append(f.changes, aChange(fmt.Sprintf("CHG%03d", i), backout.ChangePlanned, "web-1"))
		}
	})
	wants(t, s.page("ann", "/"), fmt.Sprintf("%d more</a>", 100-nowChanges))
	s.set(func() { f.changes = []backout.Change{later} })
	lacks(t, s.page("ann", "/"), "Due, and not opened")
}
