package app

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/strictyaml"
)

// CheckPlans returns the problems of plan files: of those named, else of those that
// the config names. An empty path judges the files alone, without the audiences and
// groups of any config.
func CheckPlans(path string, files []string) backout.Problems {
	kinds, err := Kinds()
	if err != nil {
		return backout.Problems{{File: path, What: err.Error()}}
	}
	_, problems := config.LoadPlans(path, files, kinds)
	return problems
}

// Sudo says what the SSH user of a config needs from sudo to carry out a plan.
type Sudo struct {
	Plan string
	// User logs in; On tells whether it becomes root at all.
	User  string
	On    bool
	Steps []SudoStep
}

// SudoStep is what one step runs as root.
type SudoStep struct {
	// Where is the level, "baseline" or "cleanup".
	Where string
	Step  string
	Uses  string
	// Commands are as sudoers(5) writes them; Unknown says why there are none.
	Commands []string
	Unknown  string
}

// PlanSudo says what the plan of the config needs from sudo. It reads no secrets.
func PlanSudo(ctx context.Context, path, name string) (Sudo, error) {
	l, problems := read(path, true)
	if err := problems.Fatal(); err != nil {
		return Sudo{}, err
	}
	plan, ok := l.config.Plans[name]
	if !ok {
		known := slices.Sorted(maps.Keys(l.config.Plans))
		return Sudo{}, fmt.Errorf("plan %q: %w: %s", name, backout.ErrNotFound, strictyaml.DidYouMean(name, known, ""))
	}
	s := Sudo{Plan: name, User: l.config.SSH.User, On: l.config.SSH.Sudo}
	add := func(where string, steps []backout.Step) {
		for _, step := range steps {
			s.Steps = append(s.Steps, l.sudoStep(ctx, where, step))
		}
	}
	add("baseline", plan.Baseline.Steps)
	for _, level := range plan.Levels {
		add(level.Name, level.Steps)
	}
	add("cleanup", plan.Cleanup)
	return s, nil
}

func (l *loaded) sudoStep(ctx context.Context, where string, step backout.Step) SudoStep {
	out := SudoStep{Where: where, Step: step.Name, Uses: step.Uses}
	kind, ok := l.kinds.Executors.Lookup(step.Uses)
	if !ok {
		out.Unknown = "there is no such executor"
		return out
	}
	// What a step runs does not depend on the values of its secrets.
	executor, err := kind.Build(ctx, step.With, func(any) error { return nil })
	if err != nil {
		out.Unknown = err.Error()
		return out
	}
	if p, ok := executor.(backout.Privileged); ok {
		out.Commands = p.Sudo()
	} else {
		out.Unknown = "the executor does not say"
	}
	return out
}
