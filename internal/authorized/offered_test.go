package authorized

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// willing stands for a core that would take everything.
type willing struct{ handlers.Insight }

var everyAnswer = []string{"hold", "release", "resume", "approve", "deny", "resolve", "escalate", "pause", "abort", "break_glass", "review", "format"}

func (willing) Offered(context.Context, handlers.Actor, backout.Rollback) (out []handlers.Offer) {
	for _, answer := range everyAnswer {
		out = append(out, handlers.Offer{Answer: answer})
	}
	return out
}

// TestOnlyWhatTheRoleAllowsIsOffered: what is offered is what the same person may then
// do, to the rollback that it is offered for.
func TestOnlyWhatTheRoleAllowsIsOffered(t *testing.T) {
	stop, goOn := []string{"hold", "deny", "pause"}, []string{"release", "resume", "resolve", "escalate", "abort"}
	approve := []string{"approve", "break_glass", "review"}
	for _, tt := range []struct {
		by     handlers.Actor
		change string
		want   []string
	}{
		{handlers.Actor{Name: "ann"}, "WEB", nil},
		{everywhere(backout.RoleViewer), "WEB", nil},
		{everywhere("root"), "WEB", nil},
		{everywhere(backout.RoleAdmin), "WEB", stop},
		{everywhere(backout.RoleOperator), "WEB", slices.Concat(stop, goOn)},
		{everywhere(backout.RoleApprover), "WEB", slices.Concat(stop, goOn, approve)},
		{inTeam("web", backout.RoleApprover), "WEB", slices.Concat(stop, goOn, approve)},
		{inTeam("web", backout.RoleApprover), "DB", nil},
		// Whoever has a share in it can stop it, and no more.
		{inTeam("web", backout.RoleApprover), "BOTH", stop},
	} {
		s := Wrap(Services{Insight: willing{}}, Options{Labels: labels})
		var got []string
		for _, o := range s.Insight.Offered(t.Context(), tt.by, aRollback(tt.change)) {
			got = append(got, o.Answer)
		}
		slices.Sort(got)
		want := slices.Sorted(slices.Values(tt.want))
		if !slices.Equal(got, want) {
			t.Errorf("%v of %s: offered %v, want %v", tt.by.Grants, tt.change, got, want)
		}
	}
}

// held stands for a core with a rollback that no group may approve.
type held struct {
	handlers.Rollbacks
	took *handlers.Action
}

func (held) Rollback(context.Context, string) (backout.Rollback, error) {
	r := aRollback("WEB")
	r.Status, r.HeldCause = backout.RollbackHeld, backout.HoldNobody
	return r, nil
}

func (h held) Act(_ context.Context, _ handlers.Actor, _ string, a handlers.Action) (backout.Rollback, error) {
	*h.took = a
	return backout.Rollback{}, nil
}

// TestOnlyAnApproverSaysYesInPlaceOfAGroup: where no group may approve, letting the
// rollback go on is a yes. The core is told whether whoever does it may give one, and
// nothing that a request says changes that.
func TestOnlyAnApproverSaysYesInPlaceOfAGroup(t *testing.T) {
	for role, may := range map[backout.Role]bool{backout.RoleOperator: false, backout.RoleApprover: true} {
		var took handlers.Action
		s := Wrap(Services{Insight: willing{}, Rollbacks: held{took: &took}}, Options{Labels: labels})
		r, err := held{}.Rollback(t.Context(), "WEB-r1")
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []handlers.Verb{handlers.VerbRelease, handlers.VerbEscalate} {
			offered := slices.ContainsFunc(s.Insight.Offered(t.Context(), everywhere(role), r), func(o handlers.Offer) bool { return o.Answer == string(verb) })
			_, err = s.Rollbacks.Act(t.Context(), everywhere(role), r.ID, handlers.Action{Verb: verb, Approver: true})
			if err != nil || took.Verb != verb || took.Approver != may || offered != may {
				t.Errorf("%s by an %s: offered %v, passed on as an approver %v, %v; want %v", verb, role, offered, took.Approver, err, may)
			}
		}
	}
	var a handlers.Action
	if err := json.Unmarshal([]byte(`{"verb":"release","approver":true,"Approver":true}`), &a); err != nil || a.Approver {
		t.Errorf("a request says of itself that it may approve: %+v, %v", a, err)
	}
}
