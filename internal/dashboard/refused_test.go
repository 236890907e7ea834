package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// linkOrForm is where a page leads: the target of a link, or a form.
var linkOrForm = regexp.MustCompile(`<a [^>]*href="([^"]*)"|<form([^>]*)>`)

var actionOf, methodOf = regexp.MustCompile(`action="([^"]*)"`), regexp.MustCompile(`method="post"`)

// leadsNowhere follows every link of a page that stands at that address, and asks for
// every form's: it returns those that there is no route for.
func leadsNowhere(t *testing.T, s *site, at, page string) (followed int, lost []string) {
	t.Helper()
	base, err := url.Parse("http://127.0.0.1:8420" + at)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range linkOrForm.FindAllStringSubmatch(page, -1) {
		to, posts := found[1], methodOf.MatchString(found[2])
		if found[2] != "" {
			to = ""
			if action := actionOf.FindStringSubmatch(found[2]); action != nil {
				to = action[1]
			}
		} else if strings.HasPrefix(to, "#") {
			continue // in the page itself
		}
		address, err := base.Parse(strings.ReplaceAll(to, "&amp;", "&"))
		if err != nil {
			t.Errorf("%q: %v", to, err)
			continue
		}
		if strings.HasPrefix(address.Path, "/log") || address.Path == "/account" {
			continue // of another package
		}
		followed++
		w := s.get("ann", address.RequestURI())
		if posts && w.Code == http.StatusMethodNotAllowed && strings.Contains(w.Header().Get("Allow"), "POST") {
			continue
		}
		if posts || w.Code != http.StatusOK {
			lost = append(lost, fmt.Sprintf("%s (%d)", to, w.Code))
		}
	}
	return followed, lost
}

// TestARefusedPageLeadsOn: it stands at the form's address, and its links and forms lead
// to the same as those of the page itself.
func TestARefusedPageLeadsOn(t *testing.T) {
	for name, tale := range map[string]*tale{"few targets": askingTale(t, time.Now().Add(-40*time.Minute)), "a thousand": bigTale(t, time.Now().Add(-time.Hour), 1000)} {
		f := tell(&fake{
			changes: []backout.Change{aChange(tale.r.ChangeID, backout.ChangeBackingOut, "web-0001")},
			rules:   []handlers.RuleStatus{{Rule: "CheckoutErrorsAfterPatch", Group: "shop"}},
		}, tale)
		f.changeLogs = map[string][]handlers.LogEntry{tale.r.ChangeID: nil}
		f.onAct = func(handlers.Actor, string, handlers.Action) error {
			return fmt.Errorf("it is over: %w", backout.ErrConflict)
		}
		f.offers = map[string][]handlers.Offer{tale.r.ID: {{Answer: "abort"}}}
		s := siteOf(t, f)
		own := "/rollbacks/" + tale.r.ID
		w := s.post("ann", own+"/answer", "answer", "abort", "reason", "wrong host")
		if w.Code != http.StatusConflict {
			t.Fatalf("%s: answered %d", name, w.Code)
		}
		page := w.Body.String()
		wants(t, page, `href="`+own+`/records/`, `href="`+own+`?show=`)
		followed, lost := leadsNowhere(t, s, own+"/answer", page)
		if slices.Sort(lost); len(lost) > 0 {
			t.Errorf("%s: %d of %d links and forms lead nowhere: %s", name, len(lost), followed, strings.Join(lost, ", "))
		}
		if _, lost := leadsNowhere(t, s, own, s.page("ann", own)); len(lost) > 0 {
			t.Errorf("%s: of the page itself: %s", name, strings.Join(lost, ", "))
		}
	}
}

// TestWhatWasTypedIsNotLost: a refused form comes back open, with its reason; where there
// is no such form any more, the reason stands beside what was wrong.
func TestWhatWasTypedIsNotLost(t *testing.T) {
	offers := []handlers.Offer{{Answer: "deny", AskID: "q1"}, {Answer: "abort"}, {Answer: "review", AskID: "q0"}, {Answer: "resolve", AttemptID: "a1", Target: "web-1"}}
	const back = ` value="the disk is &#34;full&#34;"`
	for name, tt := range map[string]struct {
		form        []string
		open, other string
		said        bool
	}{
		"a no":              {form: []string{"answer", "deny", "ask_id", "q1"}, open: "deny-q1"},
		"an end":            {form: []string{"answer", "abort"}, open: "abort"},
		"a review":          {form: []string{"answer", "review", "ask_id", "q0"}, open: "review-q0"},
		"one of three":      {form: []string{"answer", "did_not", "attempt_id", "a1"}, open: "resolve-a1"},
		"another question":  {form: []string{"answer", "deny", "ask_id", "q9"}, said: true},
		"not offered now":   {form: []string{"answer", "release"}, said: true},
		"another's attempt": {form: []string{"answer", "failed", "attempt_id", "a2"}, said: true},
	} {
		for _, to := range []string{"", "now"} {
			f := &fake{rollbacks: []backout.Rollback{deciding("CHG1-r1"), deciding("CHG2-r1")}}
			f.offers = map[string][]handlers.Offer{"CHG1-r1": offers, "CHG2-r1": offers}
			f.onAct = func(handlers.Actor, string, handlers.Action) error { return backout.ErrConflict }
			f.onVote = func(handlers.Actor, string, string, backout.Choice, string) error { return backout.ErrConflict }
			w := siteOf(t, f).post("ann", "/rollbacks/CHG1-r1/answer", append(tt.form, "reason", `the disk is "full"`, "back", to)...)
			page := w.Body.String()
			if w.Code != http.StatusConflict {
				t.Errorf("%s: answered %d", name, w.Code)
			}
			if n := strings.Count(page, back); n != len(tt.open)/max(len(tt.open), 1) {
				t.Errorf("%s: the reason is in %d forms", name, n)
			}
			if tt.open != "" {
				_, form, _ := strings.Cut(page, `id="CHG1-r1-`+tt.open+`"`)
				form, _, _ = strings.Cut(form, "</details>")
				if !strings.HasPrefix(form, " open>") || !strings.Contains(form, back) {
					t.Errorf("%s: the form is %q", name, form)
				}
			}
			if strings.Contains(page, "You had typed: the disk is &#34;full&#34;") != tt.said {
				t.Errorf("%s: said beside what was wrong: %t", name, !tt.said)
			}
		}
	}
}
