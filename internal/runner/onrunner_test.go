package runner_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/runner"
)

// places are two machines: the target, which nobody can reach any more, and the
// runner's own.
type places struct{ own backout.Host }

var errDead = errors.New("the target is dead")

// For implements [runner.Hosts].
func (p places) For(t backout.Target) (backout.Host, error) {
	if t.Transport == "local" {
		return p.own, nil
	}
	return dead{}, nil
}

type dead struct{ backout.Host }

// BootID implements [backout.Host].
func (dead) BootID(context.Context) (string, error) { return "", errDead }

// Forget implements [backout.Host].
func (dead) Forget(context.Context, string) error { return nil }

// elsewhere is an executor that works from the runner.
type elsewhere struct{}

// Execute implements [backout.Executor].
func (elsewhere) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	return executors.Attempt(ctx, t, h, backout.Exec{Argv: []string{"sh", "-c", "echo well"}}, out)
}

// Preflight implements [backout.Preflighter].
func (elsewhere) Preflight(context.Context, backout.Task, backout.Host) []backout.Violation {
	return nil
}

// TestAStepOnTheRunnerNeedsNoTarget: the way back by an API is there for targets
// that are dead. The record of its attempt stands on the runner's own machine: there
// it is found again, and forgotten; and on another machine it is in doubt.
func TestAStepOnTheRunnerNeedsNoTarget(t *testing.T) {
	kind := executors.Define("elsewhere", "works from the runner", func(context.Context, struct{}) (backout.Executor, error) { return elsewhere{}, nil })
	kind.OnRunner = true
	registry, err := executors.NewRegistry(kind)
	if err != nil {
		t.Fatal(err)
	}
	own := here(t)
	r := runner.New(runner.Options{Executors: registry, Hosts: places{own}})
	target := backout.Target{Name: "web1", Transport: "ssh"}
	task := backout.Task{AttemptID: "CHG1-r1.L3.s1.t1.a1", Level: "L3", Step: backout.Step{Uses: "elsewhere"}, Target: target}
	if p, err := r.Preflight(t.Context(), backout.FrozenPlan{}, task); err != nil || len(p.Violations) != 0 {
		t.Errorf("preflight: %+v, %v", p, err)
	}
	want(t, r.Run(t.Context(), runner.Job{Task: task}), "", "")
	boot, err := own.BootID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, r.Resume(t.Context(), runner.Job{Task: task, Boot: boot}), "", "")

	other := runner.New(runner.Options{Executors: registry, Hosts: places{here(t)}})
	want(t, other.Resume(t.Context(), runner.Job{Task: task, Boot: "the boot of another machine"}), "doubt", "boot")

	if err := r.Forget(t.Context(), target, []string{task.AttemptID}); err != nil {
		t.Error(err)
	}
	if report, err := own.Probe(t.Context(), task.AttemptID); err != nil || report.State != backout.AttemptNotStarted {
		t.Errorf("after it was forgotten: %+v, %v", report, err)
	}
}
