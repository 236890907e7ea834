package authorized

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

func wrapped(o Options) (*fake, Services) {
	f := &fake{}
	o.Labels = labels
	return f, Wrap(Services{Changes: f, Baselines: f, Rollbacks: f, Rules: f, Control: f, Insight: f, Replays: f}, o)
}

func everywhere(roles ...backout.Role) handlers.Actor {
	a := handlers.Actor{Name: "ann", Via: "cli"}
	for _, r := range roles {
		a.Grants = append(a.Grants, backout.Grant{Role: r, Everywhere: true})
	}
	return a
}

func inTeam(team string, roles ...backout.Role) handlers.Actor {
	a := handlers.Actor{Name: "ann", Via: "cli"}
	for _, r := range roles {
		a.Grants = append(a.Grants, backout.Grant{Role: r, Labels: map[string]string{"team": team}})
	}
	return a
}

// whoMay repeats, for every method, which roles may call it.
var whoMay = map[string]string{
	"Changes.PlanChange": "author", "Changes.ListChanges": "all", "Changes.Change": "all", "Changes.ChangeLog": "all", "Changes.CheckGate": "author",
	"Changes.OpenChange": "author", "Changes.ExtendChange": "author", "Changes.CloseChange": "author", "Changes.CancelChange": "author",
	"Changes.PatchStarted": "author", "Changes.PatchEnded": "author",
	"Baselines.CaptureBaseline": "author", "Baselines.Baseline": "all", "Baselines.Delta": "all", "Baselines.Drift": "operator approver author",
	"Baselines.DriftReport": "all", "Baselines.Holds": "all", "Baselines.ReleaseHold": "operator approver",
	"Rollbacks.ListRollbacks": "all", "Rollbacks.Rollback": "all", "Rollbacks.RollbackLog": "all", "Rollbacks.FollowRollback": "all",
	"Rollbacks.StartRollback": "approver", "Rollbacks.StepOutput": "all",
	// What these take depends on the choice and the verb: see TestVotesAndVerbs.
	"Rollbacks.Vote": "approver", "Rollbacks.Act": "operator approver",
	"Rules.ListRules": "all", "Rules.Explain": "all", "Rules.RedAlerts": "all", "Rules.PromoteRule": "approver author", "Rules.JudgeRule": "approver author", "Rules.History": "all",
	"Control.Pause": "operator approver author admin", "Control.Resume": "operator approver", "Control.PauseState": "all", "Control.Reload": "admin", "Control.Backup": "admin",
	"Control.Ready": "anybody", "Control.Targets": "all", "Control.NotifyTest": "admin", "Control.Notices": "all", "Control.Monitoring": "all", "Control.Runners": "all",
	"Insight.GateAnswer": "all", "Insight.RedHistory": "all", "Insight.RollbackNotices": "all", "Replays.ReplayRules": "all",
	"Insight.Examine": "operator approver author",
	// What is offered is left out for whoever may not; that something has changed is no secret.
	"Insight.Offered": "anybody", "Insight.Watch": "anybody",
}

// methods are those of every interface, so that a new one is not forgotten.
func methods() map[string]reflect.Method {
	out := map[string]reflect.Method{}
	services := reflect.TypeFor[Services]()
	for i := range services.NumField() {
		field := services.Field(i)
		for j := range field.Type.NumMethod() {
			out[field.Name+"."+field.Type.Method(j).Name] = field.Type.Method(j)
		}
	}
	return out
}

// call calls the method as the actor, with arguments that name a change of the web
// team, its rollback and one of its targets.
func call(t *testing.T, s Services, name string, as handlers.Actor) error {
	t.Helper()
	service, method, _ := strings.Cut(name, ".")
	m := reflect.ValueOf(s).FieldByName(service).MethodByName(method)
	strings := []string{"WEB", "web-1", "because", "x", "x"}
	switch name {
	case "Rollbacks.Rollback", "Rollbacks.RollbackLog", "Rollbacks.FollowRollback", "Rollbacks.Vote", "Rollbacks.Act", "Insight.RollbackNotices":
		strings[0] = "WEB-r1"
	case "Rollbacks.StepOutput":
		strings[0], strings[1] = "WEB-r1", "WEB-r1.L1.s1.t1.a1"
	}
	var in []reflect.Value
	for i := range m.Type().NumIn() {
		typ := m.Type().In(i)
		value := reflect.Zero(typ)
		switch typ {
		case reflect.TypeFor[context.Context]():
			value = reflect.ValueOf(handlers.WithActor(t.Context(), as))
		case reflect.TypeFor[handlers.Actor]():
			value = reflect.ValueOf(as)
		case reflect.TypeFor[string]():
			value, strings = reflect.ValueOf(strings[0]), strings[1:]
		case reflect.TypeFor[backout.ChangeSpec]():
			value = reflect.ValueOf(backout.ChangeSpec{ID: "WEB", Targets: []string{"web-1"}})
		case reflect.TypeFor[handlers.StartRequest]():
			value = reflect.ValueOf(handlers.StartRequest{ChangeID: "WEB", Targets: []string{"web-1"}})
		case reflect.TypeFor[backout.Choice]():
			value = reflect.ValueOf(backout.ChoiceApprove)
		case reflect.TypeFor[handlers.Action]():
			value = reflect.ValueOf(handlers.Action{Verb: handlers.VerbAbort})
		case reflect.TypeFor[io.Writer]():
			value = reflect.ValueOf(io.Discard)
		}
		if i == m.Type().NumIn()-1 && m.Type().IsVariadic() {
			continue
		}
		in = append(in, value)
	}
	out := m.Call(in)
	err, _ := out[len(out)-1].Interface().(error)
	return err
}

// TestEveryMethodIsAuthorized: a method that is added to an interface fails here until
// it is said who may call it, and until it asks.
func TestEveryMethodIsAuthorized(t *testing.T) {
	all := methods()
	for name := range whoMay {
		if _, ok := all[name]; !ok {
			t.Errorf("%s is no method any more", name)
		}
	}
	nobody := map[string]handlers.Actor{
		"nobody": {}, "a name without a role": {Name: "ann"}, "an unknown role": everywhere("root"), "no place": {Name: "ann", Grants: []backout.Grant{{Role: backout.RoleAdmin}}},
	}
	for name := range all {
		roles, ok := whoMay[name]
		if !ok {
			t.Errorf("%s: nobody said who may call it: add it to whoMay, and let it ask", name)
			continue
		}
		_, method, _ := strings.Cut(name, ".")
		for who, actor := range nobody {
			f, s := wrapped(Options{})
			err := call(t, s, name, actor)
			if roles == "anybody" {
				continue
			}
			if !errors.Is(err, backout.ErrForbidden) || len(f.calls) > 0 {
				t.Errorf("%s by %s: %v, reached %v", name, who, err, f.calls)
			}
		}
		for _, role := range backout.Roles() {
			f, s := wrapped(Options{})
			err := call(t, s, name, everywhere(role))
			may := roles == "all" || roles == "anybody" || slices.Contains(strings.Fields(roles), string(role))
			if (err == nil) != may || err != nil && !errors.Is(err, backout.ErrForbidden) {
				t.Errorf("%s as %s: %v, want allowed %v", name, role, err, may)
			}
			if roles != "anybody" && f.heard(method) != may {
				t.Errorf("%s as %s: reached %v, want %v", name, role, f.calls, may)
			}
		}
	}
}

// TestNothingPassesByItself: a wrapper that embeds the service it wraps would let new
// methods through.
func TestNothingPassesByItself(t *testing.T) {
	_, s := wrapped(Options{})
	services := reflect.ValueOf(s)
	for i := range services.NumField() {
		if services.Field(i).Kind() != reflect.Interface {
			continue // May, which is the guard's own
		}
		wrapper := services.Field(i).Elem().Type().Elem()
		for j := range wrapper.NumField() {
			if field := wrapper.Field(j); field.Anonymous && field.Type != reflect.TypeFor[*guard]() {
				t.Errorf("%s embeds %s", wrapper, field.Type)
			}
		}
	}
	if n := reflect.TypeFor[*guard]().NumMethod(); n > 0 {
		t.Errorf("guard has %d exported methods, which every wrapper would have", n)
	}
}

func TestVotesAndVerbs(t *testing.T) {
	const stop, goOn = "operator approver author admin", "operator approver"
	for what, roles := range map[string]string{
		"vote approve": "approver", "vote deny": stop, "vote maybe": "", "vote ": "",
		"act hold": stop, "act pause": stop, "act release": goOn, "act resume": goOn, "act escalate": goOn, "act abort": goOn, "act resolve": goOn,
		"act break_glass": "approver", "act review": "approver", "act format": "", "act ": "",
	} {
		kind, word, _ := strings.Cut(what, " ")
		for _, role := range append(backout.Roles(), "root", "") {
			f, s := wrapped(Options{})
			var err error
			if kind == "vote" {
				_, err = s.Rollbacks.Vote(t.Context(), everywhere(role), "WEB-r1", "q1", backout.Choice(word), "")
			} else {
				_, err = s.Rollbacks.Act(t.Context(), everywhere(role), "WEB-r1", handlers.Action{Verb: handlers.Verb(word)})
			}
			may := slices.Contains(strings.Fields(roles), string(role))
			if (err == nil) != may || err != nil && !errors.Is(err, backout.ErrForbidden) || (f.heard("Vote") || f.heard("Act")) != may {
				t.Errorf("%s as %q: %v, reached %v, want allowed %v", what, role, err, f.calls, may)
			}
		}
	}
}

// TestWhere: acting takes all targets, reading and stopping one of them; what a change
// says of itself opens nothing.
func TestWhere(t *testing.T) {
	web := inTeam("web", backout.Roles()...)
	db := inTeam("db", backout.RoleApprover, backout.RoleAuthor)
	both := handlers.Actor{Name: "bo", Grants: slices.Concat(web.Grants, db.Grants)}
	prod := handlers.Actor{Name: "pro", Grants: []backout.Grant{{Role: backout.RoleApprover, Labels: map[string]string{"team": "web", "env": "prod"}}}}
	open := func(s Services, as handlers.Actor, change string) error {
		_, err := s.Changes.OpenChange(t.Context(), as, change)
		return err
	}
	approve := func(s Services, as handlers.Actor, change string) error {
		_, err := s.Rollbacks.Vote(t.Context(), as, change+"-r1", "q1", backout.ChoiceApprove, "")
		return err
	}
	deny := func(s Services, as handlers.Actor, change string) error {
		_, err := s.Rollbacks.Vote(t.Context(), as, change+"-r1", "q1", backout.ChoiceDeny, "")
		return err
	}
	read := func(s Services, as handlers.Actor, change string) error {
		_, err := s.Changes.ChangeLog(handlers.WithActor(t.Context(), as), change)
		return err
	}
	for name, tt := range map[string]struct {
		as    handlers.Actor
		do    func(Services, handlers.Actor, string) error
		where string
	}{
		"to open":            {web, open, "WEB"},
		"to approve":         {web, approve, "WEB"},
		"to approve in prod": {prod, approve, ""},
		"to deny in prod":    {prod, deny, "WEB BOTH"},
		"to stop":            {web, deny, "WEB BOTH"},
		"to read":            {web, read, "WEB BOTH"},
		"by two grants":      {both, approve, "WEB DB BOTH"},
		"by one of two":      {db, approve, "DB"},
		"everywhere":         {everywhere(backout.RoleApprover), approve, "WEB DB BOTH BARE GONE NONE"},
	} {
		for _, change := range ids() {
			_, s := wrapped(Options{})
			err := tt.do(s, tt.as, change)
			if may := slices.Contains(strings.Fields(tt.where), change); (err == nil) != may || err != nil && !errors.Is(err, backout.ErrForbidden) {
				t.Errorf("%s %s: %v, want allowed %v", name, change, err, may)
			}
		}
	}
}

func TestNamedTargetsAreThoseThatCount(t *testing.T) {
	author, approver := inTeam("web", backout.RoleAuthor), inTeam("web", backout.RoleApprover)
	calls := map[string]func(s Services, targets ...string) error{
		"plan": func(s Services, targets ...string) error {
			_, err := s.Changes.PlanChange(t.Context(), author, backout.ChangeSpec{ID: "X", Targets: targets, Labels: map[string]string{"team": "web"}})
			return err
		},
		"patched": func(s Services, targets ...string) error {
			_, err := s.Changes.PatchEnded(t.Context(), author, "BOTH", 0, targets...)
			return err
		},
		"drift": func(s Services, targets ...string) error {
			_, err := s.Baselines.Drift(t.Context(), author, "BOTH", targets)
			return err
		},
		"start": func(s Services, targets ...string) error {
			_, err := s.Rollbacks.StartRollback(t.Context(), approver, handlers.StartRequest{ChangeID: "BOTH", Targets: targets})
			return err
		},
		"release": func(s Services, targets ...string) error {
			_, err := s.Baselines.ReleaseHold(t.Context(), approver, "BOTH", strings.Join(targets, "+"), "")
			return err
		},
	}
	for name, do := range calls {
		for targets, may := range map[string]bool{"web-1": true, "db-1": false, "web-1 db-1": false, "web-9": false, "bare": false, "": false} {
			_, s := wrapped(Options{})
			if err := do(s, strings.Fields(targets)...); (err == nil) != may || err != nil && !errors.Is(err, backout.ErrForbidden) {
				t.Errorf("%s [%s]: %v, want allowed %v", name, targets, err, may)
			}
		}
	}
}

func TestListsLeaveOutWhatIsNotSeen(t *testing.T) {
	_, s := wrapped(Options{})
	lists := map[string]func(ctx context.Context) ([]string, error){
		"changes": func(ctx context.Context) (out []string, err error) {
			list, err := s.Changes.ListChanges(ctx, handlers.ChangeFilter{})
			for _, c := range list {
				out = append(out, c.ID)
			}
			return out, err
		},
		"rollbacks": func(ctx context.Context) (out []string, err error) {
			list, err := s.Rollbacks.ListRollbacks(ctx, handlers.RollbackFilter{})
			for _, r := range list {
				out = append(out, r.ChangeID)
			}
			return out, err
		},
		"holds": func(ctx context.Context) (out []string, err error) {
			list, err := s.Baselines.Holds(ctx, false)
			for _, h := range list {
				out = append(out, h.Target)
			}
			return out, err
		},
		"targets": func(ctx context.Context) (out []string, err error) {
			list, err := s.Control.Targets(ctx)
			for _, target := range list {
				out = append(out, target.Name)
			}
			return out, err
		},
		"notices": func(ctx context.Context) (out []string, err error) {
			list, err := s.Control.Notices(ctx)
			for _, n := range list {
				out = append(out, n.Notice.ID)
			}
			return out, err
		},
		"red": func(ctx context.Context) ([]string, error) {
			list, all, err := s.Rules.RedAlerts(ctx, 1)
			out := []string{fmt.Sprint(all)}
			for _, a := range list {
				out = append(out, a.Target)
			}
			return out, err
		},
	}
	for name, want := range map[string]struct{ web, everywhere string }{
		"changes":   {"WEB BOTH", "WEB DB BOTH BARE GONE NONE"},
		"rollbacks": {"WEB BOTH", "WEB DB BOTH BARE GONE NONE"},
		"holds":     {"web-1", "web-1 db-1 bare web-9"},
		"targets":   {"web-1 web-2", "web-1 web-2 db-1 bare"},
		"notices":   {"web of-web server", "web db of-web of-db of-none of-nothing server"},
		"red":       {"2 web-1", "5 db-1"},
	} {
		for who, tt := range map[string]struct {
			as   handlers.Actor
			want string
		}{"web": {inTeam("web", backout.RoleViewer), want.web}, "everywhere": {everywhere(backout.RoleViewer), want.everywhere}} {
			got, err := lists[name](handlers.WithActor(t.Context(), tt.as))
			if diff := cmp.Diff(strings.Fields(tt.want), got); diff != "" || err != nil {
				t.Errorf("%s of %s: %v (-want +got):\n%s", name, who, err, diff)
			}
		}
	}
}

func TestExplainTellsNothingOfOthers(t *testing.T) {
	alert := &backout.Alert{Labels: map[string]string{"alertname": "X"}}
	for name, tt := range map[string]struct {
		r   handlers.ExplainRequest
		may bool
	}{
		"one's own change":          {handlers.ExplainRequest{Alert: alert, ChangeIDs: []string{"WEB"}}, true},
		"another's change":          {handlers.ExplainRequest{Alert: alert, ChangeIDs: []string{"DB"}}, false},
		"one's own and another's":   {handlers.ExplainRequest{Alert: alert, ChangeIDs: []string{"WEB", "DB"}}, false},
		"whatever is live":          {handlers.ExplainRequest{Alert: alert}, false},
		"an alert that came in":     {handlers.ExplainRequest{Fingerprint: "f", ChangeIDs: []string{"WEB"}}, false},
		"an alert, and one came in": {handlers.ExplainRequest{Alert: alert, Fingerprint: "f", ChangeIDs: []string{"WEB"}}, false},
	} {
		f, s := wrapped(Options{})
		_, err := s.Rules.Explain(handlers.WithActor(t.Context(), inTeam("web", backout.RoleViewer)), tt.r)
		if (err == nil) != tt.may || f.heard("Explain") != tt.may {
			t.Errorf("%s: %v, reached %v", name, err, f.calls)
		}
		if _, err := s.Rules.Explain(handlers.WithActor(t.Context(), everywhere(backout.RoleViewer)), tt.r); err != nil {
			t.Errorf("%s, everywhere: %v", name, err)
		}
	}
}

func TestAnOutputIsReadByItsOwnRollback(t *testing.T) {
	_, s := wrapped(Options{})
	ctx := handlers.WithActor(t.Context(), inTeam("web", backout.RoleViewer))
	for attempt, may := range map[string]bool{
		"WEB-r1.L1.s1.t1.a1": true, "WEB-r1.L9.s12.t130.a2": true, "DB-r1.L1.s1.t1.a1": false, "WEB-r1": false, "WEB-r10.L1.s1.t1.a1": false,
		"WEB-r1.L1-r1.L1.s1.t1.a1": false, "": false,
	} {
		if _, err := s.Rollbacks.StepOutput(ctx, "WEB-r1", attempt); (err == nil) != may || err != nil && !errors.Is(err, backout.ErrNotFound) {
			t.Errorf("%q: %v, want allowed %v", attempt, err, may)
		}
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	_, s := wrapped(Options{})
	if _, err := s.Changes.OpenChange(t.Context(), everywhere(backout.RoleAuthor), "X"); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("a change: %v", err)
	}
	if _, err := s.Rollbacks.Vote(t.Context(), everywhere(backout.RoleApprover), "X", "q1", backout.ChoiceApprove, ""); !errors.Is(err, backout.ErrNotFound) {
		t.Errorf("a rollback: %v", err)
	}
}

// TestRefusalsAreRecorded: with who wanted what and why not, once for each.
func TestRefusalsAreRecorded(t *testing.T) {
	var log strings.Builder
	var told []Refusal
	_, s := wrapped(Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Refused: func(_ context.Context, r Refusal) { told = append(told, r) }})
	by := inTeam("db", backout.RoleApprover)
	by.TokenID = "0123456789abcdef"
	if _, err := s.Rollbacks.Vote(t.Context(), by, "WEB-r1", "q1", backout.ChoiceApprove, "go"); err == nil {
		t.Fatal("the vote counted")
	}
	if _, err := s.Rollbacks.Vote(t.Context(), inTeam("web", backout.RoleApprover), "WEB-r1", "q1", backout.ChoiceApprove, "go"); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"level=WARN", "by=ann", "via=cli", "token=0123456789abcdef", "action=approve", `call="Vote approve"`, "on=WEB-r1", "granted elsewhere"} {
		if strings.Count(log.String(), part) != 1 {
			t.Errorf("the log lacks %s once:\n%s", part, log.String())
		}
	}
	if len(told) != 1 || told[0].By.Name != "ann" || told[0].Action != access.ActionApprove || told[0].On != "WEB-r1" || told[0].AskID != "q1" || !errors.Is(told[0].Err, backout.ErrForbidden) {
		t.Errorf("told of %+v", told)
	}
	log.Reset()
	if _, err := s.Changes.ListChanges(handlers.WithActor(t.Context(), by), handlers.ChangeFilter{}); err != nil || log.Len() > 0 {
		t.Errorf("a list that leaves out: %v, logged %s", err, log.String())
	}
	if err := s.Rules.History(t.Context(), time.Time{}, time.Time{}, nil); err == nil || !strings.Contains(log.String(), "call=History") {
		t.Errorf("a history for nobody: %v, logged %s", err, log.String())
	}
}
