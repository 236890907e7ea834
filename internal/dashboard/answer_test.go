package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// deciding is a rollback that asks whether L2 may start.
func deciding(id string) backout.Rollback {
	r := running(id)
	r.Status = backout.RollbackAwaiting
	r.Ask = &backout.Ask{ID: "q1", Level: 1, Policy: backout.Approval{Mode: backout.ApprovalRequired, Votes: 2, Groups: []string{"sre"}}}
	return r
}

// everyOffer is everything that the core could take.
func everyOffer() []handlers.Offer {
	return []handlers.Offer{
		{Answer: "hold", AskID: "q1"},
		{Answer: "approve", AskID: "q1"},
		{Answer: "deny", AskID: "q1"},
		{Answer: "release"},
		{Answer: "resume"},
		{Answer: "escalate", AskID: "q1"},
		{Answer: "pause"},
		{Answer: "abort"},
		{Answer: "break_glass", AskID: "q1"},
		{Answer: "review", AskID: "q0"},
		{Answer: "resolve", AttemptID: "CHG1-r1.L1.s1.t1.a1", Target: "web-1"},
	}
}

// TestAnAnswerReachesTheServices: each as the person it is of, with what it is about and
// the reason, and leads back to where it was given.
func TestAnAnswerReachesTheServices(t *testing.T) {
	const act = " on CHG1-r1 "
	for name, tt := range map[string]struct {
		form []string
		want string
	}{
		"approve":     {[]string{"answer", "approve", "ask_id", "q1"}, "Vote approve q1 on CHG1-r1 by ann via dashboard:"},
		"deny":        {[]string{"answer", "deny", "ask_id", "q1", "reason", " not the patch "}, "Vote deny q1 on CHG1-r1 by ann via dashboard: not the patch"},
		"hold":        {[]string{"answer", "hold", "ask_id", "q1", "reason", "I look"}, "Act hold" + act + "ask=q1 level= attempt= verdict= by ann: I look"},
		"hold at 2AM": {[]string{"answer", "hold", "reason", ""}, "Act hold" + act + "ask= level= attempt= verdict= by ann: no reason was given on the dashboard"},
		"release":     {[]string{"answer", "release"}, "Act release" + act + "ask= level= attempt= verdict= by ann: no reason was given on the dashboard"},
		"resume":      {[]string{"answer", "resume", "reason", "seen"}, "Act resume" + act + "ask= level= attempt= verdict= by ann: seen"},
		"pause":       {[]string{"answer", "pause", "reason", "storm"}, "Act pause" + act + "ask= level= attempt= verdict= by ann: storm"},
		"escalate":    {[]string{"answer", "escalate", "level", "L1", "reason", "no use"}, "Act escalate" + act + "ask= level=L1 attempt= verdict= by ann: no use"},
		"abort":       {[]string{"answer", "abort", "reason", "wrong host"}, "Act abort" + act + "ask= level= attempt= verdict= by ann: wrong host"},
		"glass":       {[]string{"answer", "break_glass", "ask_id", "q1", "reason", "alone"}, "Act break_glass" + act + "ask=q1 level= attempt= verdict= by ann: alone"},
		"review":      {[]string{"answer", "review", "ask_id", "q0", "reason", "fine"}, "Act review" + act + "ask=q0 level= attempt= verdict= by ann: fine"},
		"happened":    {[]string{"answer", "happened", "attempt_id", "a1"}, "Act resolve" + act + "ask= level= attempt=a1 verdict=happened by ann:"},
		"did not":     {[]string{"answer", "did_not", "attempt_id", "a1"}, "Act resolve" + act + "ask= level= attempt=a1 verdict=did_not by ann:"},
		"failed":      {[]string{"answer", "failed", "attempt_id", "a1"}, "Act resolve" + act + "ask= level= attempt=a1 verdict=failed by ann:"},
	} {
		for back, to := range map[string]string{"": "/rollbacks/CHG1-r1", "now": "/"} {
			s := siteOf(t, &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}})
			w := s.post("ann", "/rollbacks/CHG1-r1/answer", append(tt.form, "back", back)...)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to {
				t.Errorf("%s: answered %d, on to %q, want %q: %s", name, w.Code, w.Header().Get("Location"), to, w.Body)
			}
			if got := append(s.heard("Vote"), s.heard("Act")...); len(got) != 1 || got[0] != tt.want {
				t.Errorf("%s: heard %q, want %q", name, got, tt.want)
			}
		}
	}
}

// TestGoingOnEndsTheStopThatWasOnThePage: its form says which hold or pause it ends.
func TestGoingOnEndsTheStopThatWasOnThePage(t *testing.T) {
	at := time.Date(2026, 1, 2, 2, 3, 4, 5, time.UTC)
	held, paused := deciding("CHG1-r1"), deciding("CHG1-r1")
	held.Status, held.HeldAt, held.HeldCause, held.HeldReason = backout.RollbackHeld, at, backout.HoldPerson, "held by carl: STOP"
	paused.PausedAt, paused.PausedBy = at, "carl"
	for name, tt := range map[string]struct {
		verb handlers.Verb
		r    backout.Rollback
		want handlers.Action
	}{
		"release":              {handlers.VerbRelease, held, handlers.Action{Since: at}},
		"resume":               {handlers.VerbResume, paused, handlers.Action{Since: at}},
		"escalate":             {handlers.VerbEscalate, deciding("CHG1-r1"), handlers.Action{Unheld: true}},
		"escalate over a hold": {handlers.VerbEscalate, held, handlers.Action{Since: at}},
	} {
		verb, r := tt.verb, tt.r
		f := &fake{rollbacks: []backout.Rollback{r}, offers: map[string][]handlers.Offer{"CHG1-r1": {{Answer: string(verb)}}}}
		var done handlers.Action
		f.onAct = func(_ handlers.Actor, _ string, a handlers.Action) error {
			done = a
			return nil
		}
		s := siteOf(t, f)
		_, form, _ := strings.Cut(s.page("ann", "/rollbacks/CHG1-r1"), `name="since" value="`)
		since, _, _ := strings.Cut(form, `"`)
		s.post("ann", "/rollbacks/CHG1-r1/answer", "answer", string(verb), "since", since, "reason", "no use")
		if done.Verb != verb || !done.Since.Equal(tt.want.Since) || done.Unheld != tt.want.Unheld {
			t.Errorf("%s: the page names %q, done is %+v", name, since, done)
		}
	}
}

// TestAnAnswerThatIsNoneStandsOnThePage: it reaches nothing, and says what is wrong.
func TestAnAnswerThatIsNoneStandsOnThePage(t *testing.T) {
	for name, tt := range map[string]struct {
		form []string
		want string
	}{
		"no question":          {[]string{"answer", "approve"}, "ask_id: missing"},
		"a no without why":     {[]string{"answer", "deny", "ask_id", "q1", "reason", "  "}, "reason: missing"},
		"a pause without why":  {[]string{"answer", "pause"}, "reason: missing"},
		"an end without why":   {[]string{"answer", "abort"}, "reason: missing"},
		"up without why":       {[]string{"answer", "escalate"}, "reason: missing"},
		"glass without why":    {[]string{"answer", "break_glass", "ask_id", "q1"}, "reason: missing"},
		"a review without why": {[]string{"answer", "review", "ask_id", "q1"}, "reason: missing"},
		"no answer":            {[]string{"ask_id", "q1"}, "want one that the page offers"},
		"no time":              {[]string{"answer", "release", "since", "yesterday"}, "since: want a time"},
		"a verb of the API":    {[]string{"answer", "resolve", "attempt_id", "a1"}, "want one that the page offers"},
	} {
		s := siteOf(t, &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}})
		w := s.post("ann", "/rollbacks/CHG1-r1/answer", append(tt.form, "back", "now")...)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", name, w.Code)
		}
		wants(t, w.Body.String(), tt.want, "Not done", `role="alert"`, "1 rollback under way", "CHG1-r1")
		if got := append(s.heard("Vote"), s.heard("Act")...); len(got) > 0 {
			t.Errorf("%s: reached %q", name, got)
		}
	}
}

// TestOnlyWhatAFormSendsCounts: nothing of another site, of the address, and no field that
// no form has.
func TestOnlyWhatAFormSendsCounts(t *testing.T) {
	s := siteOf(t, &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}})
	good := url.Values{"answer": {"approve"}, "ask_id": {"q1"}}
	foreign := request("ann", "POST", "/rollbacks/CHG1-r1/answer", good)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	for name, tt := range map[string]struct {
		r    *http.Request
		code int
	}{
		"a form of another site":   {foreign, http.StatusForbidden},
		"an answer in the address": {request("ann", "POST", "/rollbacks/CHG1-r1/answer?answer=approve&ask_id=q1", nil), http.StatusBadRequest},
		"a field that is not":      {request("ann", "POST", "/rollbacks/CHG1-r1/answer", url.Values{"answer": {"approve"}, "ask_id": {"q1"}, "x": {"1"}}), http.StatusBadRequest},
		"a field twice":            {request("ann", "POST", "/rollbacks/CHG1-r1/answer", url.Values{"answer": {"approve", "deny"}, "ask_id": {"q1"}}), http.StatusBadRequest},
		"too much":                 {request("ann", "POST", "/rollbacks/CHG1-r1/answer", url.Values{"reason": {strings.Repeat("x", maxForm+1)}}), http.StatusRequestEntityTooLarge},
		"no name":                  {request("ann", "POST", "/rollbacks/%2e%2e/answer", good), http.StatusBadRequest},
		"by GET":                   {request("ann", "GET", "/rollbacks/CHG1-r1/answer?answer=approve", nil), http.StatusMethodNotAllowed},
	} {
		if w := s.do(tt.r); w.Code != tt.code {
			t.Errorf("%s: answered %d: %s", name, w.Code, w.Body)
		}
	}
	if got := append(s.heard("Vote"), s.heard("Act")...); len(got) > 0 {
		t.Errorf("reached %q", got)
	}
}

// TestPressingTwiceIsPressingOnce, for what cannot be pressed twice: the second says what
// the first did. Somebody else's press is another.
func TestPressingTwiceIsPressingOnce(t *testing.T) {
	held := deciding("CHG1-r1")
	held.Status, held.HeldCause, held.HeldReason, held.Ask = backout.RollbackHeld, backout.HoldPerson, "held by ann: I look", nil
	approved, denied := held, held
	approved.Decided = &backout.Decided{AskID: "q1", Outcome: "approved", By: "ann"}
	denied.Decided = &backout.Decided{AskID: "q1", Outcome: "denied", By: "ann"}
	twice, late := fmt.Errorf("ann has voted already: %w", backout.ErrExists), fmt.Errorf("already decided: %w", backout.ErrStale)
	already := fmt.Errorf("held already: %w", backout.ErrRefused)
	for name, tt := range map[string]struct {
		as   string
		form []string
		now  backout.Rollback
		err  error
		code int
	}{
		"hold":                         {"ann", []string{"answer", "hold"}, held, already, 303},
		"hold what was asked":          {"ann", []string{"answer", "hold", "ask_id", "q1"}, held, late, 303},
		"hold what another holds":      {"oz", []string{"answer", "hold"}, held, already, 422},
		"approve":                      {"ann", []string{"answer", "approve", "ask_id", "q1"}, deciding("CHG1-r1"), twice, 303},
		"approve, and it has begun":    {"ann", []string{"answer", "approve", "ask_id", "q1"}, approved, late, 303},
		"approve what was denied":      {"ann", []string{"answer", "approve", "ask_id", "q1"}, denied, late, 409},
		"approve another question":     {"ann", []string{"answer", "approve", "ask_id", "q2"}, approved, late, 409},
		"approve what was forbidden":   {"ann", []string{"answer", "approve", "ask_id", "q1"}, approved, backout.ErrForbidden, 403},
		"deny":                         {"ann", []string{"answer", "deny", "ask_id", "q1", "reason", "no"}, denied, late, 303},
		"deny what another has denied": {"oz", []string{"answer", "deny", "ask_id", "q1", "reason", "no"}, denied, late, 409},
	} {
		f := &fake{rollbacks: []backout.Rollback{tt.now}}
		f.onAct = func(handlers.Actor, string, handlers.Action) error { return tt.err }
		f.onVote = func(handlers.Actor, string, string, backout.Choice, string) error { return tt.err }
		s := siteOf(t, f)
		if w := s.post(tt.as, "/rollbacks/CHG1-r1/answer", append(tt.form, "back", "now")...); w.Code != tt.code {
			t.Errorf("%s: answered %d, want %d: %s", name, w.Code, tt.code, w.Body)
		}
	}
}

// TestARefusedAnswerSaysWhyOnThePage, with the status of the refusal, and the page as it
// stands now.
func TestARefusedAnswerSaysWhyOnThePage(t *testing.T) {
	for err, code := range map[error]int{
		fmt.Errorf("question q1 was approved by bob: %w", backout.ErrStale): http.StatusConflict,
		fmt.Errorf("sign in again: %w", backout.ErrRefused):                 http.StatusUnprocessableEntity,
		fmt.Errorf("%w: approve takes the role", backout.ErrForbidden):      http.StatusForbidden,
		fmt.Errorf("it waits: %w", backout.ErrPaused):                       http.StatusLocked,
	} {
		f := &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}, offers: map[string][]handlers.Offer{"CHG1-r1": {{Answer: "hold", AskID: "q1"}}}}
		f.onVote = func(handlers.Actor, string, string, backout.Choice, string) error { return err }
		w := siteOf(t, f).post("ann", "/rollbacks/CHG1-r1/answer", "answer", "approve", "ask_id", "q1", "back", "now")
		if w.Code != code || w.Header().Get("Location") != "" {
			t.Errorf("%v: answered %d", err, w.Code)
		}
		wants(t, w.Body.String(), strings.Split(err.Error(), ":")[0], "Not done", "1 rollback under way", `value="hold"`)
	}
}

// TestAnAnswerToNothingLeadsOn: what is not there, or whose store does not answer, is an
// error like every other.
func TestAnAnswerToNothingLeadsOn(t *testing.T) {
	w := siteOf(t, &fake{}).post("ann", "/rollbacks/CHG9-r9/answer", "answer", "hold")
	if w.Code != http.StatusNotFound {
		t.Errorf("answered %d", w.Code)
	}
	wants(t, w.Body.String(), "There is no such thing", `href="/rollbacks"`)
	f := &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}, errs: map[string]error{"Act": backout.ErrUnavailable}}
	if w := siteOf(t, f).post("ann", "/rollbacks/CHG1-r1/answer", "answer", "hold"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d %v", w.Code, w.Header())
	}
}

// TestWhoMayNotIsRefused, whatever they send, and is not offered it.
func TestWhoMayNotIsRefused(t *testing.T) {
	for as, tt := range map[string]struct {
		may, not []string
	}{
		"vic":  {nil, []string{"hold", "approve", "deny", "release", "escalate", "abort", "pause", "break_glass", "review", "resolve"}},
		"oz":   {[]string{"hold", "deny", "release", "resume", "escalate", "pause", "abort", "happened"}, []string{"approve", "break_glass", "review"}},
		"adam": {[]string{"hold", "deny", "pause"}, []string{"approve", "release", "resume", "escalate", "abort", "break_glass", "review", "happened"}},
		"ann":  {[]string{"hold", "approve", "deny", "release", "resume", "escalate", "pause", "abort", "break_glass", "review", "happened"}, nil},
	} {
		f := &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}, offers: map[string][]handlers.Offer{"CHG1-r1": everyOffer()}}
		s := siteOf(t, f)
		page := s.page(as, "/")
		for _, answer := range tt.may {
			if !strings.Contains(page, `value="`+answer+`"`) {
				t.Errorf("%s is not offered %s", as, answer)
			}
		}
		for _, answer := range tt.not {
			if strings.Contains(page, `name="answer" value="`+answer+`"`) {
				t.Errorf("%s is offered %s", as, answer)
			}
			w := s.post(as, "/rollbacks/CHG1-r1/answer", "answer", answer, "ask_id", "q1", "attempt_id", "a1", "reason", "because", "back", "now")
			if w.Code != http.StatusForbidden && (answer != "resolve" || w.Code != http.StatusBadRequest) {
				t.Errorf("%s sent %s: answered %d", as, answer, w.Code)
			}
		}
		if got := append(s.heard("Vote"), s.heard("Act")...); len(got) > 0 {
			t.Errorf("%s reached %q", as, got)
		}
	}
}

// TestAWayUpIsBoundToWhatWasSeen: a second press must not leave the level after it too.
func TestAWayUpIsBoundToWhatWasSeen(t *testing.T) {
	f := &fake{rollbacks: []backout.Rollback{running("CHG1-r1")}, offers: map[string][]handlers.Offer{"CHG1-r1": {{Answer: "escalate"}}}}
	wants(t, siteOf(t, f).page("ann", "/"), `<input type="hidden" name="level" value="L1">`, "Escalate to L2", `value="escalate"`)
}

// TestAFreshLoginIsAskedForBefore: what takes one says so, and leads there and back.
func TestAFreshLoginIsAskedForBefore(t *testing.T) {
	f := &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1")}, offers: map[string][]handlers.Offer{"CHG1-r1": {{Answer: "approve", AskID: "q1", FreshLogin: true}}}}
	page := siteOf(t, f).page("ann", "/")
	wants(t, page, "login?fresh=true&amp;next=/rollbacks/CHG1-r1", "Approve L2")
	lacks(t, page, `name="answer" value="approve"`)
}

// TestThePauseSwitch: whoever is on duty stops everything, with a reason; to go on takes
// more.
func TestThePauseSwitch(t *testing.T) {
	s := siteOf(t, &fake{})
	wants(t, s.page("oz", "/"), "Pause everything", `action="/pause"`)
	lacks(t, s.page("vic", "/"), `action="/pause"`)
	lacks(t, s.page("wendy", "/"), `action="/pause"`) // approves for one team
	if w := s.post("oz", "/pause", "do", "pause", "reason", " a storm of alerts "); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Errorf("answered %d %q", w.Code, w.Header().Get("Location"))
	}
	if got := s.heard("Pause everything"); len(got) != 1 || got[0] != "Pause everything by oz: a storm of alerts" {
		t.Errorf("heard %q", got)
	}
	s.set(func() { s.paused = handlers.PauseState{On: true, By: "oz", Reason: "a storm of alerts"} })
	page := s.page("oz", "/")
	wants(t, page, "Everything is paused", "a storm of alerts", `value="resume"`)
	lacks(t, page, `value="pause"`)
	lacks(t, s.page("adam", "/"), `value="resume"`)
	if w := s.post("oz", "/pause", "do", "resume"); w.Code != http.StatusSeeOther || len(s.heard("Resume everything by oz")) != 1 {
		t.Errorf("answered %d", w.Code)
	}
}

// TestAPauseThatIsNoneReachesNothing.
func TestAPauseThatIsNoneReachesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		as   string
		form []string
		code int
		want string
	}{
		"without why":       {"oz", []string{"do", "pause", "reason", " "}, 400, "reason: missing"},
		"neither":           {"oz", []string{"do", "stop"}, 400, "want pause or resume"},
		"by who only looks": {"vic", []string{"do", "pause", "reason", "x"}, 403, "stop takes the role"},
		"of one team":       {"wendy", []string{"do", "pause", "reason", "x"}, 403, "not here"},
		"on, by an admin":   {"adam", []string{"do", "resume"}, 403, "go_on takes the role"},
	} {
		s := siteOf(t, &fake{})
		w := s.post(tt.as, "/pause", tt.form...)
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
		if got := append(s.heard("Pause everything"), s.heard("Resume")...); len(got) > 0 {
			t.Errorf("%s: reached %q", name, got)
		}
	}
}
