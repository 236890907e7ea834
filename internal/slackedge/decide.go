package slackedge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/notifier/slack"
)

const (
	// clickLife is how old a click may be when it comes, and how far ahead Slack's
	// clock may be.
	clickLife = 5 * time.Minute
	// budget is what a decision may take of the three seconds that Slack waits.
	budget = 2 * time.Second
)

// errReplayed says that this very interaction has come before. Slack is not told that
// it was taken: where its first coming was, Slack knows, and where that failed, so did
// this one.
var errReplayed = fmt.Errorf("it has come before: %w", backout.ErrExists)

// interaction answers what somebody did in Slack. It returns once the decision is on
// disk, or it is clear that there is none; an error means that Slack is to be told
// nothing, so that the person sees it and tries again. A refusal is no error: the
// person is told politely, and it is recorded.
//
// delivery names the envelope or request it came in. It may be about the channels that
// from takes: what one app's connection or signature brings says nothing about another
// app's.
func (e *Edge) interaction(ctx context.Context, delivery string, payload []byte, from func(*slack.Notifier) bool) (slack.Reply, error) {
	// What ends the connection ends no decision: of one that is broken off nobody would
	// know whether it counts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), budget)
	defer cancel()
	in, err := slack.ParseInteraction(payload)
	if err != nil {
		e.refused(ctx, in, "", WhyInvalid, err.Error())
		return nil, err
	}
	if in.Action == "" {
		return nil, nil
	}
	e.mu.Lock()
	n := e.find(func(n *slack.Notifier) bool { return n.Channel() == in.Channel && from(n) })
	e.mu.Unlock()
	if n == nil {
		err := fmt.Errorf("channel %q is none with buttons of this server: %w", in.Channel, backout.ErrForbidden)
		e.refused(ctx, in, "", WhyInvalid, err.Error())
		return nil, err
	}
	if in.Trigger == "" {
		in.Key += "|" + delivery
	}
	first, err := e.o.Store.Once(ctx, "slack "+in.Key)
	if err != nil {
		return nil, e.notTaken(ctx, n, in, err)
	}
	if !first {
		e.refused(ctx, in, "", WhyReplayed, errReplayed.Error())
		return nil, errReplayed
	}
	actor, err := e.answer(ctx, n, in)
	var said *no
	switch {
	case err == nil:
		e.keeper.moved(in.Subject.RollbackID)
		return nil, nil
	case errors.As(err, &said):
		e.refused(ctx, in, actor.Name, said.why, said.text)
		return e.tell(n, in, said), nil
	}
	return nil, e.notTaken(ctx, n, in, err)
}

// answer carries out what somebody wants.
func (e *Edge) answer(ctx context.Context, n *slack.Notifier, in slack.Interaction) (handlers.Actor, error) {
	if d := time.Since(in.At); !in.Form && d.Abs() > clickLife {
		return handlers.Actor{}, refuse(WhyExpired, "That click is too old to count. Look at the card as it is now, and press again if you still want it.")
	}
	actor, err := e.who(ctx, n, in)
	if err != nil {
		return actor, err
	}
	asks := !in.Form && (in.Action == slack.ActionDeny || in.Action == slack.ActionEscalate)
	if asks {
		// The trigger is good for three seconds, so the form comes before what is slow.
		return actor, e.form(ctx, n, in)
	}
	if err := e.active(ctx, n, in); err != nil {
		return actor, err
	}
	return actor, e.decide(ctx, actor, in)
}

func (e *Edge) form(ctx context.Context, n *slack.Notifier, in slack.Interaction) error {
	r, err := e.current(ctx, in)
	if err != nil {
		return err
	}
	f := slack.Form{
		Action: in.Action, Subject: in.Subject, Title: "Deny", Submit: "Deny",
		Text: "The rollback of " + r.ChangeID + " is held until somebody goes on with it.",
	}
	if in.Action == slack.ActionEscalate {
		f.Title, f.Submit = "Escalate", "Escalate"
		f.Text = "The rollback of " + r.ChangeID + " leaves " + cmp.Or(leaves(r, in.Subject), "its level") + " now. The next level's own approval still counts."
	}
	if err := n.Ask(ctx, in.Trigger, f); err != nil {
		e.o.Log.Warn("a form was not opened", "rollback", r.ID, "error", err)
		return refuse(WhyDown, "Slack did not open the form, so nothing was changed. Press again, or decide on the dashboard.")
	}
	return nil
}

// current reads the rollback, and refuses what is about a question that is open no
// more, or a level that was left: whoever pressed had something else before them.
func (e *Edge) current(ctx context.Context, in slack.Interaction) (backout.Rollback, error) {
	r, err := e.rollback(ctx, in)
	if err != nil {
		return r, err
	}
	open := ""
	if r.Ask != nil {
		open = r.Ask.ID
	}
	// A card without a question has a Hold that is meant whatever is asked since.
	holds := in.Action == slack.ActionHold && in.Subject.AskID == ""
	left := in.Subject.Level > 0 && r.Leaves() != in.Subject.Level-1
	if open != in.Subject.AskID && !holds || left || r.Status.Final() {
		return r, refuse(WhyStale, "%s Nothing was changed.", e.decided(ctx, r, in.Subject.AskID))
	}
	return r, nil
}

// leaves names the level that somebody wants to leave: the one that their card showed, or
// where that is not known the one that escalating leaves now; empty when there is none.
func leaves(r backout.Rollback, about slack.Subject) string {
	i := about.Level - 1
	if i < 0 {
		i = r.Leaves()
	}
	if i >= 0 && i < len(r.Frozen.Plan.Levels) {
		return r.Frozen.Plan.Levels[i].Name
	}
	return ""
}

func (e *Edge) rollback(ctx context.Context, in slack.Interaction) (backout.Rollback, error) {
	r, err := e.o.Reader.Rollback(ctx, in.Subject.RollbackID)
	if errors.Is(err, backout.ErrNotFound) {
		return r, refuse(WhyInvalid, "There is no such rollback here. Nothing was changed.")
	}
	return r, err
}

func (e *Edge) decide(ctx context.Context, actor handlers.Actor, in slack.Interaction) error {
	if in.Form && in.Reason == "" {
		return refuse(WhyInvalid, "A reason is needed. Nothing was changed.")
	}
	ask := in.Subject.AskID
	read := e.current
	if ask != "" {
		read = e.rollback // an answer that comes too late belongs into the rollback's log
	}
	r, err := read(ctx, in)
	if err != nil {
		return err
	}
	switch in.Action {
	case slack.ActionApprove:
		_, err = e.o.Decider.Vote(ctx, actor, r.ID, ask, backout.ChoiceApprove, "")
	case slack.ActionDeny:
		_, err = e.o.Decider.Vote(ctx, actor, r.ID, ask, backout.ChoiceDeny, in.Reason)
	case slack.ActionHold:
		_, err = e.o.Decider.Act(ctx, actor, r.ID, handlers.Action{Verb: handlers.VerbHold, Reason: "pressed Hold in Slack", AskID: ask})
	case slack.ActionEscalate:
		_, err = e.o.Decider.Act(ctx, actor, r.ID, handlers.Action{Verb: handlers.VerbEscalate, Reason: in.Reason, AskID: ask, Level: leaves(r, in.Subject), Unheld: true}) // the card of what is held has no such button
	default:
		return refuse(WhyInvalid, "That button is not known. Nothing was changed.")
	}
	if err == nil {
		e.o.Log.Info("decided in Slack", "rollback", r.ID, "ask", ask, "action", in.Action, "by", actor.Name)
		return nil
	}
	return e.inWords(ctx, r, ask, err)
}

// inWords turns a refusal into what the person is told; what is none stays an error.
func (e *Edge) inWords(ctx context.Context, r backout.Rollback, ask string, err error) error {
	switch {
	case errors.Is(err, backout.ErrStale), errors.Is(err, backout.ErrFinal):
		return refuse(WhyStale, "%s Nothing was changed.", e.decided(ctx, r, ask))
	case errors.Is(err, backout.ErrExists):
		return refuse(WhyRefused, "You have voted already; your vote stands.")
	case errors.Is(err, backout.ErrPaused):
		return refuse(WhyRefused, "Everything is paused, so nothing was changed. Somebody must resume first.")
	case errors.Is(err, backout.ErrForbidden):
		return refuse(WhyForbidden, "You may not do that here: %s. Nothing was changed.", plainly(err))
	case errors.Is(err, backout.ErrRefused), errors.Is(err, backout.ErrInvalid), errors.Is(err, backout.ErrNotFound):
		return refuse(WhyRefused, "That is not possible: %s. Nothing was changed.", plainly(err))
	}
	return err
}

// plainly leaves out the one word by which programs tell what kind of no it is, where
// it stands at the end of the words for people.
func plainly(err error) string {
	said := err.Error()
	for _, kind := range []error{backout.ErrRefused, backout.ErrForbidden, backout.ErrInvalid, backout.ErrNotFound} {
		said = strings.TrimSuffix(said, ": "+kind.Error())
	}
	return said
}

// decided says what became of a question. The rollback is read anew: it was open a
// moment ago.
func (e *Edge) decided(ctx context.Context, r backout.Rollback, ask string) string {
	if ask == "" {
		if r.Status.Final() {
			return "This rollback has ended: " + string(r.Status) + "."
		}
		if r.Status == backout.RollbackHeld {
			return "This rollback is held: " + r.HeldReason + "."
		}
		return "The card you pressed was older than what is asked now; look at it again."
	}
	if now, err := e.o.Reader.Rollback(ctx, r.ID); err == nil {
		r = now
	}
	if done := r.Decided; done != nil && done.AskID == ask {
		return outcome(*done)
	}
	log, err := e.o.Reader.RollbackLog(ctx, r.ID)
	if err != nil {
		return "This question is open no more."
	}
	for _, entry := range log {
		for _, ev := range entry.Record.Events {
			switch ev := ev.(type) {
			case backout.Answered:
				if ev.AskID == ask {
					return outcome(backout.Decided{Outcome: ev.Outcome, By: ev.By, At: entry.Record.At})
				}
			case backout.ApprovalVoided:
				if ev.AskID == ask {
					return outcome(backout.Decided{Outcome: "voided", Reason: ev.Reason, At: entry.Record.At})
				}
			}
		}
	}
	return "This question is open no more."
}

func outcome(done backout.Decided) string {
	at := done.At.UTC().Format("15:04:05 UTC")
	if done.Outcome == "voided" {
		return "This question counts no more since " + at + ": " + done.Reason + ". Look at the card for what is asked now."
	}
	by := ""
	if done.By != "" {
		by = " by " + done.By
	}
	what := map[string]string{
		"approved": "approved", "denied": "denied", "held": "held", "expired": "not answered in time", "unheld": "not held in time", "break_glass": "started by break-glass",
	}[done.Outcome]
	if what == "" {
		what = "closed"
	}
	return "This was already " + what + by + " at " + at + "."
}

// refused records what somebody did not get.
func (e *Edge) refused(ctx context.Context, in slack.Interaction, person, why, text string) {
	e.o.Log.Warn("refused in Slack", "team", in.Team, "user", in.User, "person", person, "action", in.Action,
		"rollback", in.Subject.RollbackID, "ask", in.Subject.AskID, "why", why, "said", text)
	if e.o.Refused != nil {
		e.o.Refused(context.WithoutCancel(ctx), Refusal{
			Team: in.Team, User: in.User, Person: person, Action: in.Action,
			RollbackID: in.Subject.RollbackID, AskID: in.Subject.AskID, Why: why, Text: text,
		})
	}
}

// tell answers a form in its place, and a button with a line that only the person
// sees; the latter does not keep Slack waiting.
func (e *Edge) tell(n *slack.Notifier, in slack.Interaction, said *no) slack.Reply {
	if in.Form && said.url == "" {
		return slack.Say("Not recorded", said.text)
	}
	e.whisper(n, in, said.text, said.label, said.url)
	return nil
}

func (e *Edge) whisper(n *slack.Notifier, in slack.Interaction, text, label, url string) {
	e.spawn(func(ctx context.Context) {
		if err := n.Whisper(ctx, in.User, text, label, url); err != nil && ctx.Err() == nil {
			e.o.Log.Warn("somebody was not told in Slack why nothing happened", "user", in.User, "error", err)
		}
	})
}

// notTaken says that nothing is known to be recorded, and leaves Slack without an
// answer.
func (e *Edge) notTaken(ctx context.Context, n *slack.Notifier, in slack.Interaction, err error) error {
	e.refused(ctx, in, "", WhyDown, err.Error())
	e.whisper(n, in, "This server could not record that in time. Look at the card, and press again or decide on the dashboard if it has not counted.", "", "")
	return fmt.Errorf("slack interaction: %w", err)
}
