package handlers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// pageRules is how many rules the page of rules shows.
	pageRules = 1000
	// pageRed is how many red alerts the page of explanations offers, pageAlerts how
	// many pasted ones it explains, pageOthers how many rules it names for each.
	pageRed    = 100
	pageAlerts = 5
	pageOthers = 200
	// pageFull is how many rules are shown with every condition.
	pageFull = 20
)

// answerPage writes a page that was rendered whole.
func answerPage(c *call, status int, policy string, write func(io.Writer) error) error {
	var out bytes.Buffer
	if err := write(&out); err != nil {
		return err
	}
	c.w.Header().Set("Content-Security-Policy", policy)
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	c.w.WriteHeader(status)
	_, _ = out.WriteTo(c.w)
	return nil
}

// rulesPage shows the rules, what they may do and how they have done.
func (h *Handler) rulesPage(c *call) error {
	page := ui.Rules{Now: time.Now(), Version: h.o.Version}
	list, err := h.o.Rules.ListRules(c.r.Context())
	if err != nil {
		page.Unknown, list = err.Error(), nil
	}
	page.More = max(0, len(list)-pageRules)
	for i := range list[:min(len(list), pageRules)] {
		page.Rules = append(page.Rules, shownRule(&list[i]))
	}
	return answerPage(c, http.StatusOK, ui.Policy(), func(w io.Writer) error { return ui.RulesPage(w, page) })
}

func shownRule(r *RuleStatus) ui.Rule {
	out := ui.Rule{
		Name: r.Rule, Group: r.Group, Place: fmt.Sprintf("%s:%d", r.File, r.Line), Match: r.Match, When: r.When,
		Mode: r.Mode, FileMode: r.FileMode, Why: r.Why, Score: scoreWords(r.Score), LastVerdict: r.LastVerdict,
	}
	if p := r.Promotion; p != nil {
		out.Promoted = fmt.Sprintf("%s by %s at %s: %s (%s)", p.Mode, p.By, p.At.UTC().Format(time.RFC3339), p.Reason, scoreWords(p.Score))
	}
	return out
}

func scoreWords(s RuleScore) string {
	if s.Agreed+s.Disagreed+s.Open == 0 {
		return "no verdicts"
	}
	text := fmt.Sprintf("%d agreed, %d disagreed, %d open", s.Agreed, s.Disagreed, s.Open)
	if s.Agreed+s.Disagreed > 0 {
		text += fmt.Sprintf(": %.0f%%", 100*s.Precision)
	}
	return text
}

// explainPage shows the form and what is red; with ?seen= also what rules make of
// that alert.
//
// A red alert is chosen by a link: it is short, and can be passed on. What is pasted
// comes by POST: an alert is too large for an address, and its labels would stand in
// the logs of every proxy. Neither changes anything; the POST is held to the same as
// one that does (Handler.foreign), so that no other site's page can have a server
// work for it.
func (h *Handler) explainPage(c *call) error {
	query, err := c.query("seen", "change", "rule", "at")
	if err != nil {
		return err
	}
	given := ui.Given{Change: query("change"), Rule: query("rule"), At: query("at")}
	if query("seen") == "" {
		return h.answerExplain(c, given, nil, nil)
	}
	ask, err := asked(given)
	if err != nil {
		return h.answerExplain(c, given, nil, err)
	}
	ask.Fingerprint = query("seen")
	answer, err := h.explainOne(c.r.Context(), ask)
	return h.answerExplain(c, given, []Explained{answer}, err)
}

// explainPosted is explainPage for alerts that were pasted.
func (h *Handler) explainPosted(c *call) error {
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, h.limits.MaxRequest)
	if err := c.r.ParseForm(); err != nil {
		return unread(err)
	}
	for name, values := range c.r.PostForm {
		if !contains([]string{"alert", "change", "rule", "at"}, name) || len(values) != 1 {
			return invalid("unknown or repeated field %s of the form", quoteShort(name))
		}
	}
	given := ui.Given{
		Alert: c.r.PostForm.Get("alert"), Change: c.r.PostForm.Get("change"), Rule: c.r.PostForm.Get("rule"), At: c.r.PostForm.Get("at"),
	}
	answers, err := h.explainGiven(c.r.Context(), given)
	return h.answerExplain(c, given, answers, err)
}

// asked reads the small fields of the form.
func asked(given ui.Given) (ask ExplainRequest, err error) {
	ask.Rule = strings.TrimSpace(given.Rule)
	ask.ChangeIDs = strings.Fields(strings.ReplaceAll(given.Change, ",", " "))
	if at := strings.TrimSpace(given.At); at != "" && at != "now" {
		if ask.At, err = time.Parse(time.RFC3339, at); err != nil {
			return ask, invalid("at: %s is not a time: want one as in 2006-01-02T15:04:05Z", quoteShort(at))
		}
	}
	return ask, nil
}

func (h *Handler) explainGiven(ctx context.Context, given ui.Given) ([]Explained, error) {
	ask, err := asked(given)
	if err != nil {
		return nil, err
	}
	at := ask.At
	if at.IsZero() {
		at = time.Now()
	}
	alerts, err := alertwire.DecodeAny([]byte(given.Alert), at)
	if err != nil {
		return nil, err
	}
	if len(alerts) == 0 || len(alerts) > pageAlerts {
		return nil, invalid("%d alerts are given, want 1 to %d", len(alerts), pageAlerts)
	}
	out := make([]Explained, len(alerts))
	for i := range alerts {
		ask.Alert = &alerts[i]
		if out[i], err = h.explainOne(ctx, ask); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// answerExplain writes the page. What is wrong with the question stands on it;
// anything else is an error like every other.
func (h *Handler) answerExplain(c *call, given ui.Given, answers []Explained, err error) error {
	page := ui.Explain{Now: time.Now(), Version: h.o.Version, Given: given}
	status := http.StatusOK
	if err != nil {
		var body ErrorBody
		if status, body = describe(err); status != http.StatusBadRequest && status != http.StatusNotFound {
			return err
		}
		page.Problem, answers = body.Message, nil
	}
	for i := range answers {
		page.Answers = append(page.Answers, shownAnswer(&answers[i]))
	}
	red, all, err := h.o.Rules.RedAlerts(c.r.Context(), pageRed)
	if err != nil {
		page.RedUnknown = err.Error()
	}
	page.MoreRed = all - len(red)
	for _, r := range red {
		page.Red = append(page.Red, ui.Red{Alert: r.Alert, Target: r.Target, ChangeIDs: r.ChangeIDs})
	}
	return answerPage(c, status, ui.FormPolicy(), func(w io.Writer) error { return ui.ExplainPage(w, page) })
}

// shownAnswer shows in full what matched and the nearest miss.
func shownAnswer(e *Explained) ui.Answer {
	out := ui.Answer{Alert: e.Alert, At: e.At, Notes: e.Notes, Said: e.Said}
	full := 0
	for full < len(e.Rules) && e.Rules[full].Matched {
		full++
	}
	full = min(full+1, len(e.Rules), pageFull)
	for i := range e.Rules {
		r := &e.Rules[i]
		row := ui.ExplainedRule{
			Rule: r.Rule, Group: r.Group, Target: r.Target, ChangeID: r.ChangeID, Mode: r.Mode, Matched: r.Matched, Waiting: r.Waiting,
			Failed: r.Error != "", Follows: r.Follows, Why: r.Why, Misses: r.Misses,
		}
		switch {
		case i < full:
			row.Parts = shownParts(r.Parts)
			out.Full = append(out.Full, row)
		case len(out.Others) < pageOthers:
			out.Others = append(out.Others, row)
		default:
			out.More++
		}
	}
	return out
}

func shownParts(list []ExplainPart) []ui.Part {
	out := make([]ui.Part, len(list))
	for i, p := range list {
		out[i] = ui.Part{Text: p.Text, Held: p.Held, Failed: p.Failed, Unknown: p.Unknown, Error: p.Error, Parts: shownParts(p.Parts)}
	}
	return out
}
