package runner_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/runner"
)

// mute can be executed and says nothing before.
type mute struct{}

func (mute) Execute(context.Context, backout.Task, backout.Host, io.Writer) (backout.Outcome, error) {
	return backout.Outcome{}, nil
}

// loser knows what it would lose, or that it cannot know.
type loser struct {
	mute
	says []backout.Violation
	err  error
}

func (l loser) Preflight(context.Context, backout.Task, backout.Host) []backout.Violation {
	return l.says
}

func (l loser) Loses(context.Context, backout.Task, backout.Host) (string, error) {
	return "data written since 2026-11-26T18:00Z (2h ago)", l.err
}

func TestPreflight(t *testing.T) {
	for name, tt := range map[string]struct {
		executor    backout.Executor
		check, want string
	}{
		"an executor without preflight is a no":       {mute{}, "executor", "has no preflight"},
		"what it would lose is told":                  {loser{}, "", ""},
		"what cannot be found out is a no":            {loser{err: errors.New("no such volume")}, "loses", "no such volume"},
		"its no is told, with the target it is about": {loser{says: []backout.Violation{{Check: "space", Reason: "full"}}}, "space", "full"},
	} {
		t.Run(name, func(t *testing.T) {
			kind := executors.Define("test", "For tests.", func(context.Context, struct{}) (backout.Executor, error) { return tt.executor, nil })
			registry, err := executors.NewRegistry(kind)
			if err != nil {
				t.Fatal(err)
			}
			r := runner.New(runner.Options{Executors: registry, Hosts: hosts{here(t)}})
			task := backout.Task{Level: "L2", Step: backout.Step{Uses: "test", With: []byte(`{}`)}, Target: backout.Target{Name: "web1"}}
			got, err := r.Preflight(t.Context(), backout.FrozenPlan{}, task)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if len(got.Violations) > 0 || !strings.HasPrefix(got.Loses, "data written since") {
					t.Errorf("got %+v", got)
				}
				return
			}
			if len(got.Violations) != 1 || got.Violations[0].Check != tt.check || !strings.Contains(got.Violations[0].Reason, tt.want) {
				t.Fatalf("got %+v", got)
			}
			if v := got.Violations[0]; v.Target != "web1" || v.Level != "L2" {
				t.Errorf("it is about %s at %s", v.Target, v.Level)
			}
		})
	}
}
