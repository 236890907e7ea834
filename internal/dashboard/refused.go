package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// typed is what somebody typed into a form that was refused: it must not be lost.
type typed struct {
	// rollback, answer, ask and attempt are which form it was; empty for one that is not
	// about a rollback.
	rollback, answer, ask, attempt string
	reason                         string
	// back tells that it stands in its form again.
	back bool
}

func typedIn(rollback string, form func(string) string) *typed {
	return &typed{
		rollback: rollback, answer: form("answer"), ask: form("ask_id"), attempt: form("attempt_id"), reason: strings.TrimSpace(form("reason")),
	}
}

// putBack puts it back into its form, if that is one of the card's.
func (t *typed) putBack(card *ui.Card) {
	if t != nil && t.reason != "" && t.rollback == card.Rollback.ID && card.PutBack(t.answer, t.ask, t.attempt, t.reason) {
		t.back = true
	}
}

// beside is what was wrong, and what was typed where its form is not there any more.
func (t *typed) beside(problem string) string {
	if t == nil || t.reason == "" || t.back {
		return problem
	}
	return problem + ". You had typed: " + t.reason
}

// refused shows the page as it stands now, with what was wrong on it, and what was typed;
// in may be nil.
func (d *Dashboard) refused(w http.ResponseWriter, r *http.Request, by handlers.Actor, path string, no error, in *typed) error {
	status, body := handlers.Describe(no)
	if status == http.StatusNotFound || status >= http.StatusInternalServerError {
		return no
	}
	for _, p := range d.pages() {
		if !p.serves(path) {
			continue
		}
		shown := r.Clone(r.Context())
		shown.Method, shown.URL = http.MethodGet, &url.URL{Path: path}
		q := &query{by: by, r: shown, get: func(string) string { return "" }, now: time.Now(), typed: in}
		content, err := p.build(r.Context(), q)
		if err != nil {
			return no
		}
		return d.write(w, q, p, status, in.beside(body.Message), content)
	}
	return no
}

// serves tells whether the page is at that path: its own, or one with a single name.
func (p page) serves(path string) bool {
	own := strings.TrimSuffix(p.path, "{$}")
	before, found := strings.CutSuffix(own, "{id}")
	if !found {
		return own == path
	}
	name, found := strings.CutPrefix(path, before)
	return found && name != "" && !strings.Contains(name, "/")
}
