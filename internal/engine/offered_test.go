package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// offeredTo are the answers that the actor is offered.
func offeredTo(t *testing.T, e *Engine, by handlers.Actor, id string) string {
	t.Helper()
	r, err := e.Rollback(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range e.Offered(t.Context(), by, r) {
		word := o.Answer
		if o.FreshLogin {
			word += " (fresh)"
		}
		out = append(out, word)
	}
	return strings.Join(out, ", ")
}

// TestWhatIsOfferedIsWhatIsTaken: of everything that a page could send, what is offered
// is taken and what is not is refused, in each state that the rollback comes to.
func TestWhatIsOfferedIsWhatIsTaken(t *testing.T) {
	verbs := []handlers.Verb{
		handlers.VerbHold, handlers.VerbRelease, handlers.VerbPause, handlers.VerbResume, handlers.VerbEscalate, handlers.VerbAbort, handlers.VerbBreakGlass,
	}
	choices := []backout.Choice{backout.ChoiceApprove, backout.ChoiceDeny}
	people := []handlers.Actor{
		{Name: "carol", Groups: []string{"sre"}, Via: "dashboard"}, {Name: "erin", Groups: []string{"other"}, Via: "dashboard"}, {Name: alice.Name, Groups: []string{"sre"}, Via: "dashboard"},
	}
	states := map[string]func(t *testing.T, e *Engine, id string) error{
		"asked":  func(*testing.T, *Engine, string) error { return nil },
		"held":   func(t *testing.T, e *Engine, id string) error { return act(t, e, id, handlers.VerbHold) },
		"paused": func(t *testing.T, e *Engine, id string) error { return act(t, e, id, handlers.VerbPause) },
		"ended":  func(t *testing.T, e *Engine, id string) error { return act(t, e, id, handlers.VerbAbort) },
		"voted": func(t *testing.T, e *Engine, id string) error {
			_, err := e.Vote(t.Context(), people[0], id, askOf(t, e, id), backout.ChoiceApprove, "")
			return err
		},
	}
	answers := slices.Concat(wordsOf(verbs), wordsOf(choices))
	for name, reach := range states {
		for _, by := range people {
			// What is not offered changes nothing, so one world is enough for all of it.
			taken := answers[:0:0]
			withAsked(t, reach, func(t *testing.T, e *Engine, r backout.Rollback) {
				offered := strings.Split(offeredTo(t, e, by, r.ID), ", ")
				for _, answer := range answers {
					if slices.Contains(offered, answer) {
						taken = append(taken, answer)
					} else if err := give(t, e, by, r, answer); err == nil {
						t.Errorf("%s: %s by %s was not offered and was taken", name, answer, by.Name)
					}
				}
			})
			if by.Name != "carol" {
				continue
			}
			for _, answer := range taken {
				withAsked(t, reach, func(t *testing.T, e *Engine, r backout.Rollback) {
					if err := give(t, e, by, r, answer); err != nil {
						t.Errorf("%s: %s by %s was offered and refused: %v", name, answer, by.Name, err)
					}
				})
			}
		}
	}
}

// withAsked is a world with a rollback that asks for two votes, brought to a state.
func withAsked(t *testing.T, reach func(t *testing.T, e *Engine, id string) error, test func(t *testing.T, e *Engine, r backout.Rollback)) {
	t.Helper()
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.Plans["web"].Levels[1].Approval.Votes, w.cfg.Groups = 2, map[string][]string{"sre": {"carol", "dan"}}
		e := w.serve("me", w.store)
		defer e.Close()
		r := w.asks(e)
		if err := reach(t, e, r.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		test(t, e, r)
	})
}

// give sends an answer as a page does. r is the rollback as it asked.
func give(t *testing.T, e *Engine, by handlers.Actor, r backout.Rollback, answer string) error {
	if answer == string(backout.ChoiceApprove) || answer == string(backout.ChoiceDeny) {
		_, err := e.Vote(t.Context(), by, r.ID, r.Ask.ID, backout.Choice(answer), "why")
		return err
	}
	a := handlers.Action{Verb: handlers.Verb(answer), Reason: "why"}
	if a.Verb == handlers.VerbBreakGlass {
		a.AskID = r.Ask.ID
	}
	_, err := e.Act(t.Context(), by, r.ID, a)
	return err
}

func wordsOf[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, one := range list {
		out[i] = string(one)
	}
	return out
}

func act(t *testing.T, e *Engine, id string, verb handlers.Verb) error {
	_, err := e.Act(t.Context(), handlers.Actor{Name: "dave"}, id, handlers.Action{Verb: verb, Reason: "why"})
	return err
}

func askOf(t *testing.T, e *Engine, id string) string {
	t.Helper()
	r, err := e.Rollback(t.Context(), id)
	if err != nil || r.Ask == nil {
		t.Fatalf("nothing is asked: %v", err)
	}
	return r.Ask.ID
}

// TestAStaleLoginIsOfferedAFreshOne: the approval that only wants a login anew is shown
// with the way to it.
func TestAStaleLoginIsOfferedAFreshOne(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		w.cfg.Plans["web"].Levels[1].Approval.StepUp = backout.Duration(5 * time.Minute)
		e := w.serve("me", w.store)
		defer e.Close()
		r := w.asks(e)
		by := handlers.Actor{Name: "carol", Groups: []string{"sre"}, Via: "dashboard", LoginAt: time.Now().Add(-time.Hour)}
		if got := offeredTo(t, e, by, r.ID); !strings.Contains(got, "approve (fresh)") {
			t.Errorf("after an old login: %s", got)
		}
		by.LoginAt = time.Now()
		if got := offeredTo(t, e, by, r.ID); !strings.Contains(got, "approve,") {
			t.Errorf("after a fresh login: %s", got)
		}
	})
}

// TestEscalateLeavesTheLevelThatWasSeen: a second press does not leave the next one too.
func TestEscalateLeavesTheLevelThatWasSeen(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		r := w.asks(e)
		by := handlers.Actor{Name: "carol", Groups: []string{"sre"}}
		if _, err := e.Vote(t.Context(), by, r.ID, r.Ask.ID, backout.ChoiceApprove, ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err := e.Act(t.Context(), by, r.ID, handlers.Action{Verb: handlers.VerbEscalate, Reason: "worse", Level: "L1"})
		if !errors.Is(err, backout.ErrStale) {
			t.Errorf("from a level that was left: %v", err)
		}
	})
}
