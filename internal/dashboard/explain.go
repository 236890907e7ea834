package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// explainRed is how many red alerts the page offers, explainAlerts how many pasted
	// ones it explains, explainOthers how many rules it names for each.
	explainRed    = 100
	explainAlerts = 5
	explainOthers = 200
	// explainFull is how many rules are shown with every condition.
	explainFull = 20
	// explainsAtOnce is how many pages are explained at once: each compiles every rule,
	// and reading the log for an alert takes seconds.
	explainsAtOnce = 2
)

var errBusy = handlers.Refuse(http.StatusServiceUnavailable, "overloaded", "others are asking why just now: send it again")

// explainPage is the page's place among the others.
var explainPage = page{path: "/rules/explain", here: "rules"}

// explainRoutes are the routes of the page that says why a rule did, or did not, fire.
//
// A red alert is chosen by a link: it is short, and can be passed on. What is pasted
// comes by POST: an alert is too large for an address, and its labels would stand in the
// logs of every proxy. Neither changes anything; the POST is held to the same as one that
// does, so that no other site's page can have a server work for it.
func (d *Dashboard) explainRoutes() []handlers.PageRoute {
	return []handlers.PageRoute{
		{Method: "GET", Path: explainPage.path, Needs: "read", Serve: d.explainChosen, Doc: "Why a rule did, or did not, fire: a form, and what is red now."},
		{Method: "POST", Path: explainPage.path, Needs: "read", Serve: d.explainPasted, Doc: "The same for alerts that were pasted; does nothing."},
	}
}

// explainChosen shows the form and what is red; with ?seen= also what rules make of that
// alert.
func (d *Dashboard) explainChosen(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	get, err := handlers.Query(r, "seen", "change", "rule", "at")
	if err != nil {
		return err
	}
	q := &query{by: by, r: r, get: get, now: time.Now()}
	given := ui.ExplainGiven{Change: get("change"), Rule: get("rule"), At: get("at")}
	if get("seen") == "" {
		return d.answerExplain(w, q, given, nil, nil)
	}
	ask, err := asked(given)
	if err != nil {
		return d.answerExplain(w, q, given, nil, err)
	}
	ask.Fingerprint = get("seen")
	answers, err := d.explain(r.Context(), ask)
	return d.answerExplain(w, q, given, answers, err)
}

// explainPasted is explainChosen for alerts that were pasted.
func (d *Dashboard) explainPasted(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	form, err := handlers.Form(w, r, maxForm, "alert", "change", "rule", "at")
	if err != nil {
		return err
	}
	q := &query{by: by, r: r, get: form, now: time.Now()}
	given := ui.ExplainGiven{Alert: form("alert"), Change: form("change"), Rule: form("rule"), At: form("at")}
	asks, err := pasted(given, q.now)
	if err != nil {
		return d.answerExplain(w, q, given, nil, err)
	}
	answers, err := d.explain(r.Context(), asks...)
	return d.answerExplain(w, q, given, answers, err)
}

// asked reads the small fields of the form.
func asked(given ui.ExplainGiven) (ask handlers.ExplainRequest, err error) {
	ask.Rule = strings.TrimSpace(given.Rule)
	ask.ChangeIDs = strings.Fields(strings.ReplaceAll(given.Change, ",", " "))
	if at := strings.TrimSpace(given.At); at != "" && at != "now" {
		if ask.At, err = time.Parse(time.RFC3339, at); err != nil {
			return ask, handlers.Refuse(http.StatusBadRequest, "invalid", fmt.Sprintf("at: %.64q is not a time: want one as in 2006-01-02T15:04:05Z", at))
		}
	}
	return ask, nil
}

// pasted reads the whole form: a question for each alert.
func pasted(given ui.ExplainGiven, now time.Time) ([]handlers.ExplainRequest, error) {
	ask, err := asked(given)
	if err != nil {
		return nil, err
	}
	if !ask.At.IsZero() {
		now = ask.At
	}
	alerts, err := alertwire.DecodeAny([]byte(given.Alert), now)
	if err != nil {
		return nil, fmt.Errorf("the pasted alert: %w", err)
	}
	if len(alerts) == 0 || len(alerts) > explainAlerts {
		return nil, handlers.Refuse(http.StatusBadRequest, "invalid", fmt.Sprintf("%d alerts are given, want 1 to %d", len(alerts), explainAlerts))
	}
	out := make([]handlers.ExplainRequest, len(alerts))
	for i := range alerts {
		out[i] = ask
		out[i].Alert = &alerts[i]
	}
	return out, nil
}

// explain asks every question, unless too many are asked already: more are refused, not
// queued.
func (d *Dashboard) explain(ctx context.Context, asks ...handlers.ExplainRequest) ([]handlers.Explained, error) {
	select {
	case d.explaining <- struct{}{}:
		defer func() { <-d.explaining }()
	default:
		return nil, errBusy
	}
	out := make([]handlers.Explained, len(asks))
	for i, ask := range asks {
		var err error
		if out[i], err = d.o.Services.Rules.Explain(ctx, ask); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// answerExplain writes the page. What is wrong with the question stands on it, beside
// what was put in.
func (d *Dashboard) answerExplain(w http.ResponseWriter, q *query, given ui.ExplainGiven, answers []handlers.Explained, no error) error {
	content := ui.Explain{Given: given, Everywhere: d.readsAll(q), Most: explainAlerts}
	for i := range answers {
		content.Answers = append(content.Answers, shownAnswer(&answers[i]))
	}
	red, all, err := d.o.Services.Rules.RedAlerts(q.r.Context(), explainRed)
	if err != nil {
		_, body := handlers.Describe(err)
		content.RedUnknown = body.Message
	}
	content.MoreRed = max(0, all-len(red))
	for _, r := range red {
		content.Red = append(content.Red, ui.RedAlert{Alert: r.Alert, Target: r.Target, ChangeIDs: r.ChangeIDs})
	}
	return d.answered(w, q, explainPage, content, no)
}

// answered writes a page that answers a question, or says what was wrong with it and
// still has it. What only the error page can tell is left to that.
func (d *Dashboard) answered(w http.ResponseWriter, q *query, p page, content ui.Content, no error) error {
	if no == nil {
		return d.write(w, q, p, http.StatusOK, "", content)
	}
	status, body := handlers.Describe(no)
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "2")
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
	default:
		return no
	}
	return d.write(w, q, p, status, body.Message, content)
}

// shownAnswer shows in full what matched and the nearest miss.
func shownAnswer(e *handlers.Explained) ui.Answer {
	out := ui.Answer{Alert: e.Alert, At: e.At, Notes: e.Notes, Said: e.Said}
	for i := range e.Rules {
		if e.Rules[i].Matched {
			out.Matches++
		}
		if e.Rules[i].Acts() {
			out.Acts++
		}
	}
	full := min(out.Matches+1, len(e.Rules), explainFull)
	for i := range e.Rules {
		switch row := shownExplained(&e.Rules[i]); {
		case i < full:
			row.Parts = conditions(e.Rules[i].Parts)
			out.Full = append(out.Full, row)
		case len(out.Others) < explainOthers:
			out.Others = append(out.Others, row)
		default:
			out.More++
		}
	}
	return out
}

func shownExplained(r *handlers.ExplainedRule) ui.ExplainedRule {
	return ui.ExplainedRule{
		Rule: r.Rule, Group: r.Group, Target: r.Target, ChangeID: r.ChangeID, Mode: r.Mode, Matched: r.Matched, Waiting: r.Waiting,
		Failed: r.Error != "", Follows: r.Follows, Why: r.Why, Misses: r.Misses,
	}
}
