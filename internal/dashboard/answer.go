package dashboard

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// maxForm bounds a posted form; the one that takes rules or alerts is the largest.
const maxForm = 1 << 20

// actions are the routes by which people do something.
func (d *Dashboard) actions() []handlers.PageRoute {
	return append(d.gateActions(), []handlers.PageRoute{
		{
			Method: "POST", Path: "/rollbacks/{id}/answer", Needs: "a person", Serve: d.answerRollback,
			Doc: "Does one thing to a rollback, as its pages offer it: a vote or a verb.",
		},
		{Method: "POST", Path: "/pause", Needs: "stop", Serve: d.pause, Doc: "Turns the pause switch on or off."},
		{Method: "POST", Path: "/settings/tokens/revoke", Needs: "a person", Serve: d.revokeToken, Doc: "Ends an API token, as the page of the settings offers it."},
	}...)
}

// answerRollback takes what somebody answers on a page: a vote on the question that they
// had before them, or a verb. It is the same as by any other way. A no stands on the page.
func (d *Dashboard) answerRollback(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	id, err := handlers.PathName(r, "id")
	if err != nil {
		return err
	}
	form, err := handlers.Form(w, r, maxForm, "answer", "ask_id", "attempt_id", "level", "since", "reason", "back")
	if err != nil {
		return err
	}
	path := "/rollbacks/" + id
	if form("back") == "now" {
		path = "/"
	}
	err = d.give(r.Context(), by, id, form)
	if err == nil || d.isSo(r.Context(), by, id, form, err) {
		return d.goTo(w, path)
	}
	return d.refused(w, r, by, path, err, typedIn(id, form))
}

// give does what was answered.
func (d *Dashboard) give(ctx context.Context, by handlers.Actor, id string, form func(string) string) (err error) {
	rollbacks := d.o.Services.Rollbacks
	answer, ask, reason := form("answer"), form("ask_id"), strings.TrimSpace(form("reason"))
	switch verb := handlers.Verb(answer); verb {
	case "approve", "deny":
		if ask == "" {
			return handlers.Refuse(http.StatusBadRequest, "invalid", "ask_id: missing: a vote answers one question and no other")
		}
		if answer == "deny" && reason == "" {
			return errNoReason
		}
		_, err = rollbacks.Vote(ctx, by, id, ask, backout.Choice(answer), reason)
		return err
	case "happened", "did_not", "failed":
		_, err = rollbacks.Act(ctx, by, id, handlers.Action{Verb: handlers.VerbResolve, AttemptID: form("attempt_id"), Verdict: answer, Reason: reason})
		return err
	case handlers.VerbHold, handlers.VerbRelease, handlers.VerbResume:
		// Nobody who is woken at night has to type before they may stop something.
		if reason == "" {
			reason = "no reason was given on the dashboard"
		}
		return d.act(ctx, by, id, handlers.Action{Verb: verb, Reason: reason, AskID: ask, Level: form("level")}, form("since"))
	case handlers.VerbPause, handlers.VerbEscalate, handlers.VerbAbort, handlers.VerbBreakGlass, handlers.VerbReview:
		if reason == "" {
			return errNoReason
		}
		return d.act(ctx, by, id, handlers.Action{Verb: verb, Reason: reason, AskID: ask, Level: form("level")}, form("since"))
	case handlers.VerbResolve: // its verdicts are answers
	}
	return handlers.Refuse(http.StatusBadRequest, "invalid", "answer: want one that the page offers")
}

// act does what ends no other stop than the one that was on the page; "none" is one that
// was not held.
func (d *Dashboard) act(ctx context.Context, by handlers.Actor, id string, a handlers.Action, since string) (err error) {
	switch {
	case since == "none" && a.Verb == handlers.VerbEscalate:
		a.Unheld = true
	case since != "":
		if a.Since, err = time.Parse(time.RFC3339Nano, since); err != nil {
			return handlers.Refuse(http.StatusBadRequest, "invalid", "since: want a time of RFC 3339")
		}
	}
	_, err = d.o.Services.Rollbacks.Act(ctx, by, id, a)
	return err
}

var errNoReason = handlers.Refuse(http.StatusBadRequest, "invalid", "reason: missing: say why, for whoever goes on from here")

// isSo tells that a no only says that it was done already, by the same person: who
// presses twice has pressed once.
func (d *Dashboard) isSo(ctx context.Context, by handlers.Actor, id string, form func(string) string, no error) bool {
	answer := form("answer")
	if answer == "approve" && errors.Is(no, backout.ErrExists) {
		return true
	}
	if !errors.Is(no, backout.ErrRefused) && !errors.Is(no, backout.ErrStale) {
		return false
	}
	r, err := d.o.Services.Rollbacks.Rollback(ctx, id)
	if err != nil {
		return false
	}
	switch answer {
	case "approve", "deny":
		outcome := map[string]string{"approve": "approved", "deny": "denied"}[answer]
		return r.Decided != nil && r.Decided.AskID == form("ask_id") && r.Decided.Outcome == outcome && r.Decided.By == by.Name
	case string(handlers.VerbHold):
		return r.Status == backout.RollbackHeld && r.HeldCause == backout.HoldPerson && strings.HasPrefix(r.HeldReason, "held by "+by.Name+":")
	}
	return false
}

// pause turns the pause switch.
func (d *Dashboard) pause(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	form, err := handlers.Form(w, r, maxForm, "do", "reason")
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(form("reason"))
	switch form("do") {
	case "pause":
		if err = errNoReason; reason != "" {
			_, err = d.o.Services.Control.Pause(r.Context(), by, reason)
		}
	case "resume":
		_, err = d.o.Services.Control.Resume(r.Context(), by, reason)
	default:
		err = handlers.Refuse(http.StatusBadRequest, "invalid", "do: want pause or resume")
	}
	if err != nil {
		return d.refused(w, r, by, "/", err, &typed{reason: reason})
	}
	return d.goTo(w, "/")
}

// goTo leads on to a page.
func (d *Dashboard) goTo(w http.ResponseWriter, path string) error {
	w.Header().Set("Location", d.o.Base+path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
