package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// answers are the gate's about some changes.
func someAnswers(now time.Time) map[string]handlers.GateResult {
	looks := func(bad string, targets ...string) (out []handlers.GateLook) {
		for _, t := range targets {
			out = append(out, handlers.GateLook{Target: t, Check: "reachable", OK: true}, handlers.GateLook{Target: t, Level: "L1", Check: "dnf.undo", OK: t != bad}, handlers.GateLook{Target: t, Level: "L2", Check: "lvm.merge", OK: true, Loses: "orders since 02:00"})
		}
		return out
	}
	return map[string]handlers.GateResult{
		"NO":     {ChangeID: "NO", At: now.Add(-time.Hour), Looks: looks("app-1", "app-1", "app-2", "app-3"), Violations: []backout.Violation{{Check: "dnf.undo", Target: "app-1", Level: "L1", Reason: "the old package is gone", Fix: "mirror it"}}},
		"YES":    {ChangeID: "YES", Passed: true, At: now.Add(-2 * time.Hour), Looks: looks("", "db-1", "db-2"), Warnings: []backout.Violation{{Check: "approval", Level: "L2", Reason: "nobody is asked", Fix: "ask somebody"}}},
		"STALE":  {ChangeID: "STALE", At: now.Add(-3 * time.Hour), Looks: looks("", "db-2"), Warnings: []backout.Violation{{Check: "stale", Reason: "this yes is worth nothing any more"}}},
		"BROKEN": {ChangeID: "BROKEN", At: now, Violations: []backout.Violation{{Check: "lvm", Target: "web-2", Level: "L2", Reason: "the snapshot is full", Fix: "extend it"}}},
	}
}

func ready(now time.Time) *fake { return &fake{changes: someChanges(now), gates: someAnswers(now)} }

// section is what a page says of one change.
func section(t *testing.T, page, id string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, `<section class="card gate`)
	for found {
		one, after, more := strings.Cut(rest, `<section class="card gate`)
		if strings.Contains(one, `id="`+id+`"`) {
			out, _, _ := strings.Cut(one, "</section>")
			return out
		}
		rest, found = after, more
	}
	t.Fatalf("there is no section of %s:\n%s", id, page)
	return ""
}

// TestReadinessOfTheNextWindows: those whose way back broke first, then what opens first;
// each says what the gate's word is worth, and what to do about each no.
func TestReadinessOfTheNextWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, ready(time.Now()))
		page := s.page("vic", "/readiness")
		at := -1
		for _, id := range []string{"BROKEN", "ANYTIME", "YES", "STALE", "NO"} {
			next := strings.Index(page, `id="`+id+`"`)
			if next <= at {
				t.Errorf("%s stands at %d, behind %d", id, next, at)
			}
			at = next
		}
		for id, parts := range map[string][]string{
			"BROKEN":  {"the way back would not work", "1 reason", "L2 on web-2: the snapshot is full", "What to do: extend it"},
			"ANYTIME": {"never asked", "so nobody knows", "backout change gate ANYTIME"},
			"YES":     {"passed", "until 2000-01-01 20:00:00 UTC", "Every check says yes: 6 answers on 2 targets.", "2 yes", "L2: nobody is asked", "What to do: ask somebody", "L2 on db-1, db-2: orders since 02:00", "Last answer 1999-12-31 22:00:00 UTC"},
			"STALE":   {"stale", ": its plan has changed"},
			"NO":      {"refused", "1 of 9 answers say no, on 1 of 3 targets.", "app-1yesnoyes", "all 33 yes1 no, 2 yes3 yes", "2 targets of which every check says yes", "app-2, app-3", "L1 on app-1: the old package is gone", "What to do: mirror it"},
		} {
			got := plain(section(t, page, id))
			for _, part := range parts {
				if !strings.Contains(got, part) {
					t.Errorf("%s lacks %q:\n%s", id, part, got)
				}
			}
		}
		lacks(t, page, "worth nothing any more", `id="LIVE"`, `id="DONE"`, `id="FAR"`, "Ask the gate")
		wants(t, page, "1 window later than that", "(1) the way back broke", `data-tone="bad"`)
		wants(t, s.page("vic", "/readiness?days=90"), `id="FAR"`, `<option value="90" selected>`)
	})
}

// TestReadinessOfOneChange: whenever its window is; a change that is none leads on.
func TestReadinessOfOneChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := siteOf(t, ready(time.Now()))
		page := s.page("amy", "/readiness?change=FAR")
		wants(t, page, "<h1>Readiness of FAR</h1>", "never asked", "Ask the gate now", `name="back" value="change"`)
		lacks(t, page, `id="NO"`, "later than that")
		lacks(t, s.page("amy", "/readiness?change=DONE"), "Ask the gate")
		for query, code := range map[string]int{"change=NONE": http.StatusNotFound, "days=0": http.StatusBadRequest, "days=x": http.StatusBadRequest, "weeks=1": http.StatusBadRequest} {
			if w := s.get("amy", "/readiness?"+query); w.Code != code {
				t.Errorf("%s: answered %d, want %d", query, w.Code, code)
			}
		}
	})
}

// TestWhatSaysNoStandsBeforeTheTable: also where it is in no table, since it is about the
// change or no answer of a check on a target, and every check there says yes.
func TestWhatSaysNoStandsBeforeTheTable(t *testing.T) {
	c := planned("CHG1", time.Now().Add(time.Hour), "web-1")
	c.GateAt, c.Violations = time.Now(), []backout.Violation{{Check: "overlap", Reason: "CHG2 is about web-1 at that time", Fix: "move one of them"}}
	c.Violations = append(c.Violations, backout.Violation{Check: "capture", Target: "web-1", Reason: "there is no baseline", Fix: "take one"})
	answer := handlers.GateResult{ChangeID: c.ID, At: c.GateAt, Violations: c.Violations, Looks: []handlers.GateLook{{Target: "web-1", Level: "L1", Check: "dnf.undo", OK: true}}}
	page := siteOf(t, &fake{changes: []backout.Change{c}, gates: map[string]handlers.GateResult{c.ID: answer}}).page("vic", "/readiness")
	wants(t, page, "refused", "1 answer on 1 target, all yes; what says no stands below.", "there is no baseline")
	lacks(t, page, "Every check says yes", "no check does")
	if no, table := strings.Index(page, "CHG2 is about web-1"), strings.Index(page, "<table"); no < 0 || table < no {
		t.Errorf("what says no stands at %d, the table at %d", no, table)
	}
}

// TestReadinessWithoutAnything: quiet is said, and so is what cannot be known.
func TestReadinessWithoutAnything(t *testing.T) {
	f := ready(time.Now())
	f.errs = map[string]error{"GateAnswer": fmt.Errorf("store: %w", backout.ErrUnavailable)}
	page := siteOf(t, f).page("vic", "/readiness")
	wants(t, page, "The last answer is not known: store", "the old package is gone", "the snapshot is full")
	wants(t, siteOf(t, &fake{}).page("vic", "/readiness"), "No window opens within 14 days", `data-tone="quiet"`)
	// The next window is named however late it is.
	wants(t, siteOf(t, &fake{changes: []backout.Change{planned("FAR", time.Now().Add(99*everyDay), "x")}}).page("vic", "/readiness"), `id="FAR"`)
}

// TestReadinessOfAThousandTargets: the worst first, the same reason once, and counts.
func TestReadinessOfAThousandTargets(t *testing.T) {
	now := time.Now()
	f := &fake{gates: map[string]handlers.GateResult{}}
	for n := range 12 {
		c := planned(fmt.Sprintf("CHG%07d", n), now.Add(time.Duration(n+1)*time.Hour))
		answer := handlers.GateResult{ChangeID: c.ID, At: now}
		for i := range 1000 {
			target := fmt.Sprintf("server-%05d.prod.example.org", i)
			c.Targets = append(c.Targets, target)
			for _, level := range []string{"L1", "L2", "L3"} {
				for _, check := range []string{"dnf.undo", "service.restart", "lvm.merge"} {
					look := handlers.GateLook{Target: target, Level: level, Check: check, OK: i%2 == 0 || level != "L1", Loses: "orders"}
					if answer.Looks = append(answer.Looks, look); !look.OK {
						answer.Violations = append(answer.Violations, backout.Violation{Check: check, Target: target, Level: level, Reason: "it would not succeed here", Fix: "do something about it"})
					}
				}
			}
		}
		c.GateAt, c.Violations = now, answer.Violations[:300]
		f.changes, f.gates[c.ID] = append(f.changes, c), answer
	}
	s := siteOf(t, f)
	for path, rows := range map[string]int{"/readiness": readySections * amongOthers.rows, "/readiness?change=CHG0000000": byItself.rows} {
		page := s.page("vic", path)
		if len(page) > 100<<10 {
			t.Errorf("%s takes %d bytes", path, len(page))
		}
		if n := strings.Count(page, `<tr><th scope="row">server-`); n != rows {
			t.Errorf("%s has %d rows, want %d", path, n, rows)
		}
		wants(t, page, "1500 of 9000 answers say no, on 500 of 1000 targets.", "500 targets of which every check says yes", "L1 on server-00001.prod.example.org", "and 496 more targets: it would not succeed here")
	}
	wants(t, s.page("vic", "/readiness"), `<li id="CHG0000011">`, "and 488 more targets with a no")
	if n := len(s.heard("GateAnswer CHG0000000")); n != 2 {
		t.Errorf("the answer was read %d times for two pages that show it in two ways, and one of them again", n)
	}
}

// TestTheGateIsAskedFromAPage: whoever may is offered it, and led back to the answer,
// whichever it is.
func TestTheGateIsAskedFromAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ready(time.Now())
		s := siteOf(t, f)
		wants(t, section(t, s.page("amy", "/readiness"), "NO"), `<form class="act" method="post" action="/changes/NO/gate">`, "Ask the gate again")
		lacks(t, s.page("ann", "/readiness"), "/gate\"")
		f.onDo = func(handlers.Actor, string, string, string) error {
			return &backout.RefusedError{Violations: []backout.Violation{{Check: "dnf", Reason: "gone"}}}
		}
		for back, to := range map[string]string{"": "/readiness#NO", "change": "/readiness?change=NO#NO"} {
			w := s.post("amy", "/changes/NO/gate", "back", back)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
				t.Errorf("back to %q: answered %d, to %s", back, w.Code, w.Header().Get("Location"))
			}
		}
		if calls := s.heard("CheckGate NO by amy"); len(calls) != 2 {
			t.Errorf("asked %v", calls)
		}
		f.onDo = func(handlers.Actor, string, string, string) error {
			return fmt.Errorf("%w: somebody was faster", backout.ErrConflict)
		}
		if w := s.post("amy", "/changes/NO/gate"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "somebody was faster") || !strings.Contains(w.Body.String(), `id="NO"`) {
			t.Errorf("a conflict: answered %d %s", w.Code, w.Body)
		}
		for _, tt := range []struct {
			as, path string
			fields   []string
			code     int
		}{
			{"ann", "/changes/NO/gate", nil, http.StatusForbidden},
			{"vic", "/changes/NO/gate", nil, http.StatusForbidden},
			{"amy", "/changes/NONE/gate", nil, http.StatusNotFound},
			{"amy", "/changes/a%20b/gate", nil, http.StatusBadRequest},
			{"amy", "/changes/NO/gate", []string{"x", "1"}, http.StatusBadRequest},
		} {
			if w := s.post(tt.as, tt.path, tt.fields...); w.Code != tt.code {
				t.Errorf("%s as %s: answered %d, want %d", tt.path, tt.as, w.Code, tt.code)
			}
		}
		if calls := s.heard("CheckGate"); len(calls) != 3 {
			t.Errorf("asked %v", calls)
		}
		foreign := request("amy", "POST", "/changes/NO/gate", nil)
		foreign.Header.Set("Sec-Fetch-Site", "cross-site")
		if w := s.do(foreign); w.Code != http.StatusForbidden {
			t.Errorf("a form of another site: answered %d", w.Code)
		}
	})
}

// TestTheGateIsNotAskedTwiceAtOnce: a second press is told so, and everybody who looks
// sees that it is being asked; who may not ask is told only that.
func TestTheGateIsNotAskedTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ready(time.Now())
		s := siteOf(t, f)
		answered := make(chan error)
		f.onDo = func(handlers.Actor, string, string, string) error { return <-answered }
		o, closeIt := s.followAs("amy", "/readiness/live")
		defer closeIt()
		synctest.Wait()
		o.pages()
		first := make(chan int)
		go func() { first <- s.post("amy", "/changes/NO/gate").Code }()
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(section(t, pages[0], "NO"), "The gate is being asked.") || strings.Contains(section(t, pages[0], "NO"), "<form") {
			t.Errorf("%d pages while it is asked: %v", len(pages), pages)
		}
		w := s.post("amy", "/changes/NO/gate")
		if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "the gate is being asked about this change already") {
			t.Errorf("a second press: answered %d %s", w.Code, w.Body)
		}
		s.join(handlers.Actor{Name: "dora", Grants: []backout.Grant{{Role: backout.RoleViewer, Everywhere: true}, {Role: backout.RoleAuthor, Labels: map[string]string{"team": "db"}}}})
		if w := s.post("dora", "/changes/NO/gate"); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "already: its answer") {
			t.Errorf("by whoever may not: answered %d", w.Code)
		}
		if calls := s.heard("CheckGate"); len(calls) != 1 {
			t.Errorf("asked %v", calls)
		}
		answered <- errors.New("no target answers")
		if code := <-first; code != http.StatusInternalServerError {
			t.Errorf("the first press: answered %d", code)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if pages := o.pages(); len(pages) != 1 || !strings.Contains(section(t, pages[0], "NO"), "<form") {
			t.Errorf("%d pages afterwards", len(pages))
		}
		go func() { answered <- nil }()
		if w := s.post("amy", "/changes/NO/gate"); w.Code != http.StatusSeeOther {
			t.Errorf("later: answered %d", w.Code)
		}
	})
}

// TestAnAskedGateIsAnsweredThoughWhoAskedGoes: a browser drops its request when somebody
// presses twice or looks at something else, and the answer was promised to stand here. It
// ends with the server, or when its time is over.
func TestAnAskedGateIsAnsweredThoughWhoAskedGoes(t *testing.T) {
	for name, tt := range map[string]struct {
		after time.Duration
		how   func(s *site, answer chan struct{})
	}{
		"the answer comes":         {0, func(_ *site, answer chan struct{}) { close(answer) }},
		"the server ends":          {0, func(s *site, _ chan struct{}) { s.h.EndStreams() }},
		"it never comes to an end": {handlers.SlowCall, func(*site, chan struct{}) {}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := ready(time.Now())
			answer := make(chan struct{})
			f.before = func(ctx context.Context, method string) {
				if method == "CheckGate" {
					select {
					case <-ctx.Done():
					case <-answer:
					}
				}
			}
			s := siteOf(t, f)
			ctx, hangUp := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.do(request("amy", "POST", "/changes/NO/gate", nil).WithContext(ctx))
			}()
			synctest.Wait()
			hangUp()
			synctest.Wait()
			wants(t, section(t, s.page("amy", "/readiness"), "NO"), "The gate is being asked.")
			if w := s.post("amy", "/changes/NO/gate"); w.Code != http.StatusConflict {
				t.Errorf("%s: a second press: answered %d", name, w.Code)
			}
			tt.how(s, answer)
			time.Sleep(tt.after)
			synctest.Wait()
			select {
			case <-done:
			default:
				t.Errorf("%s: it goes on", name)
				close(answer)
			}
			<-done
			lacks(t, section(t, s.page("amy", "/readiness"), "NO"), "being asked")
		})
	}
}
