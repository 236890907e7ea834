package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/attempt"
	"github.com/backout-io/backout/internal/runner"
)

func step(uses string) backout.Step { return backout.Step{Uses: uses, With: json.RawMessage("{}")} }

func errandPlan() backout.FrozenPlan {
	return backout.FrozenPlan{Plan: backout.Plan{
		Levels:   []backout.Level{{Name: "L1", Steps: []backout.Step{step("telling")}}},
		Baseline: backout.BaselineSpec{Steps: []backout.Step{step("telling")}},
		Cleanup:  []backout.Step{step("mute")},
	}}
}

func errandTask(id, level, uses string) backout.Task {
	return backout.Task{AttemptID: id, ChangeID: "CHG1", Level: level, Step: step(uses), Target: backout.Target{Name: "web1"}}
}

// TestNothingIsPreparedAfterThePatch: copies of what is there then would be of the
// patch, and take the place of what leads back.
func TestNothingIsPreparedAfterThePatch(t *testing.T) {
	for name, change := range map[string]func(*backout.Task){
		"opened": func(t *backout.Task) { t.Opened = true },
		"delta":  func(t *backout.Task) { t.Delta = &backout.Delta{} },
	} {
		for _, level := range []string{"L1", backout.LevelBaseline} {
			task := errandTask(runner.BaselineID("CHG1", 2, "L1", 0, 0), level, "telling")
			change(&task)
			e := &telling{
				execute: func(context.Context, backout.Task, backout.Host, io.Writer) (backout.Outcome, error) {
					t.Errorf("%s: a step of %s was executed", name, level)
					return backout.Outcome{}, nil
				},
				prepare: func(context.Context, backout.Task, backout.Host, io.Writer) (backout.Prepared, error) {
					t.Errorf("%s: a step of %s has prepared", name, level)
					return backout.Prepared{}, nil
				},
			}
			if _, err := of(t, e, &machine{}).Tend(t.Context(), errandPlan(), runner.ErrandPrepare, task); !backout.IsPermanent(err) {
				t.Errorf("%s: %s: %v", name, level, err)
			}
		}
	}
}

func TestErrandsCallWhatTheyAreFor(t *testing.T) {
	for name, c := range map[string]struct {
		errand runner.Errand
		task   backout.Task
		calls  string
		made   backout.Prepared
	}{
		"prepare of a level's step":   {runner.ErrandPrepare, errandTask(runner.BaselineID("CHG1", 1, "L1", 0, 0), "L1", "telling"), "prepare", backout.Prepared{Uses: "telling", Facts: map[string]string{"dir": "/kept"}}},
		"a baseline step is whole":    {runner.ErrandPrepare, errandTask(runner.BaselineID("CHG1", 1, "B", 0, 0), backout.LevelBaseline, "telling"), "execute", backout.Prepared{Uses: "telling", Facts: map[string]string{"uuid": "u1"}}},
		"clean-up of a level's step":  {runner.ErrandCleanup, errandTask(runner.CleanupID("CHG1", 1, "L1", 0, 0), "L1", "telling"), "cleanup", backout.Prepared{}},
		"clean-up of a baseline step": {runner.ErrandCleanup, errandTask(runner.CleanupID("CHG1", 1, "B", 0, 0), backout.LevelBaseline, "telling"), "cleanup", backout.Prepared{}},
		"a clean-up step is whole":    {runner.ErrandCleanup, errandTask(runner.CleanupID("CHG1", 1, "C", 0, 0), backout.LevelCleanup, "mute"), "execute", backout.Prepared{Uses: "mute", Facts: map[string]string{"uuid": "u1"}}},
		"release":                     {runner.ErrandRelease, errandTask(runner.ReleaseID("CHG1", 1, "L1", 0, 0), "L1", "telling"), "release", backout.Prepared{}},
		"nothing to prepare":          {runner.ErrandPrepare, errandTask(runner.BaselineID("CHG1", 1, "L1", 0, 0), "L1", "mute"), "", backout.Prepared{}},
		"nothing to clean up":         {runner.ErrandCleanup, errandTask(runner.CleanupID("CHG1", 1, "L1", 0, 0), "L1", "mute"), "", backout.Prepared{}},
		"nothing to release":          {runner.ErrandRelease, errandTask(runner.ReleaseID("CHG1", 1, "L1", 0, 0), "L1", "mute"), "", backout.Prepared{}},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []string
			e := &telling{
				execute: func(context.Context, backout.Task, backout.Host, io.Writer) (backout.Outcome, error) {
					calls = append(calls, "execute")
					return backout.Outcome{Facts: map[string]string{"uuid": "u1"}}, nil
				},
				prepare: func(context.Context, backout.Task, backout.Host, io.Writer) (backout.Prepared, error) {
					calls = append(calls, "prepare")
					return backout.Prepared{Facts: map[string]string{"dir": "/kept"}}, nil
				},
				tidy: func(what string, _ backout.Task) error { calls = append(calls, what); return nil },
			}
			made, err := of(t, e, &machine{}).Tend(t.Context(), errandPlan(), c.errand, c.task)
			if err != nil || strings.Join(calls, " ") != c.calls {
				t.Errorf("called %v, want %q (%v)", calls, c.calls, err)
			}
			if diff := cmp.Diff(c.made, made); diff != "" {
				t.Errorf("made (-want +got):\n%s", diff)
			}
			if err := errors.Join(attempt.CheckID(c.task.AttemptID), bound(c.errand, c.task, c.task.Step.Uses == "telling" || c.task.Level == backout.LevelCleanup)); err != nil {
				t.Error(err)
			}
		})
	}
}

// bound tells whether the errand is one of the plan, and that it is not one where
// it should not be.
func bound(errand runner.Errand, t backout.Task, want bool) error {
	err := runner.Bound(errandPlan().Plan, errand, t)
	if want {
		return err
	}
	if err == nil {
		return errors.New("a step that is not in the plan is bound to it")
	}
	return nil
}

func TestErrandsAreBoundToTheirPlan(t *testing.T) {
	for name, edit := range map[string]func(*runner.Errand, *backout.Task){
		"another change":           func(_ *runner.Errand, t *backout.Task) { t.ChangeID = "CHG" },
		"no change":                func(_ *runner.Errand, t *backout.Task) { t.ChangeID, t.AttemptID = "", "-b1.L1.s1.t1.prepare" },
		"an attempt of a rollback": func(_ *runner.Errand, t *backout.Task) { t.AttemptID = "CHG1-r1.L1.s1.t1.a1" },
		"a path":                   func(_ *runner.Errand, t *backout.Task) { t.AttemptID = "CHG1-b1.L1.s1.t1/../x" },
		"an id of another errand":  func(_ *runner.Errand, t *backout.Task) { t.AttemptID = "CHG1-h1.L1.s1.t1" },
		"another errand":           func(e *runner.Errand, _ *backout.Task) { *e = runner.ErrandRelease },
		"an errand that is none":   func(e *runner.Errand, _ *backout.Task) { *e = "exec" },
		"an id of another level":   func(_ *runner.Errand, t *backout.Task) { t.AttemptID = "CHG1-b1.B.s1.t1" },
		"an id of another step":    func(_ *runner.Errand, t *backout.Task) { t.AttemptID = "CHG1-b1.L1.s2.t1.prepare" },
		"an id of no step":         func(_ *runner.Errand, t *backout.Task) { t.AttemptID = "CHG1-b1.L1.s0.t1.prepare" },
		"another step":             func(_ *runner.Errand, t *backout.Task) { t.Step.With = json.RawMessage(`{"x":1}`) },
		"another level":            func(_ *runner.Errand, t *backout.Task) { t.Level = "L2" },
		"no level":                 func(_ *runner.Errand, t *backout.Task) { t.Level = "" },
		"preparing a clean-up step": func(_ *runner.Errand, t *backout.Task) {
			*t = errandTask("CHG1-b1.C.s1.t1", backout.LevelCleanup, "mute")
		},
		"a level step as a baseline": func(_ *runner.Errand, t *backout.Task) { t.Level, t.Step = backout.LevelBaseline, step("mute") },
	} {
		errand, task := runner.ErrandPrepare, errandTask("CHG1-b1.L1.s1.t1.prepare", "L1", "telling")
		if err := runner.Bound(errandPlan().Plan, errand, task); err != nil {
			t.Fatal(err)
		}
		edit(&errand, &task)
		if err := runner.Bound(errandPlan().Plan, errand, task); err == nil {
			t.Errorf("%s: %s of %+v is bound to the plan", name, errand, task)
		}
	}
}

func TestSameErrandTwiceIsOneEffect(t *testing.T) {
	file := filepath.Join(t.TempDir(), "effects")
	e := &telling{prepare: func(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Prepared, error) {
		_, err := executors.Attempt(ctx, t, h, backout.Exec{Argv: []string{"sh", "-c", `sleep 0.3; echo x >>"$1"`, "sh", file}}, out)
		return backout.Prepared{Facts: map[string]string{"file": file}}, err
	}}
	h := here(t)
	task := errandTask(runner.BaselineID("CHG1", 1, "L1", 0, 0), "L1", "telling")
	cut, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := of(t, e, h).Tend(cut, errandPlan(), runner.ErrandPrepare, task); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cut: %v", err)
	}
	for range 2 {
		made, err := of(t, e, h).Tend(t.Context(), errandPlan(), runner.ErrandPrepare, task)
		if err != nil || made.Facts["file"] != file {
			t.Errorf("%+v %v", made, err)
		}
	}
	if n := lines(file); n != 1 {
		t.Errorf("%d effects", n)
	}
}

func TestErrandIsFollowedOverALostConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		e := &telling{tidy: func(string, backout.Task) error {
			if tries++; tries < 4 {
				return fmt.Errorf("dial: %w", host.ErrNoConnection)
			}
			return nil
		}}
		_, err := of(t, e, &machine{}).Tend(t.Context(), errandPlan(), runner.ErrandRelease, errandTask("CHG1-h1.L1.s1.t1", "L1", "telling"))
		if err != nil || tries != 4 {
			t.Errorf("%d tries: %v", tries, err)
		}
	})
}

func TestErrandOnATargetThatStaysAwayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &telling{tidy: func(string, backout.Task) error { return fmt.Errorf("dial: %w", host.ErrNoConnection) }}
		began := time.Now()
		_, err := of(t, e, &machine{}).Tend(t.Context(), errandPlan(), runner.ErrandRelease, errandTask("CHG1-h1.L1.s1.t1", "L1", "telling"))
		if !errors.Is(err, host.ErrNoConnection) || backout.IsPermanent(err) || time.Since(began) > 2*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestErrandPastItsTimeoutIsEndedOnItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{runs: time.Hour}
		task := errandTask("CHG1-b1.B.s1.t1", backout.LevelBaseline, "telling")
		task.Step.Timeout = backout.Duration(time.Minute)
		_, err := of(t, &telling{}, m).Tend(t.Context(), errandPlan(), runner.ErrandPrepare, task)
		if err == nil || !strings.Contains(err.Error(), "timed out after") || !m.stopped {
			t.Errorf("stopped %v: %v", m.stopped, err)
		}
	})
}

// TestErrandPastItsDeadlineIsEndedOnItsTarget: what is made for an opening must not come
// to be after another server has opened. Whoever asks gives up at the same moment.
func TestErrandPastItsDeadlineIsEndedOnItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{runs: time.Hour}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		task := errandTask("CHG1-b1.B.s1.t1", backout.LevelBaseline, "telling")
		task.Deadline, _ = ctx.Deadline()
		_, err := of(t, &telling{}, m).Tend(ctx, errandPlan(), runner.ErrandPrepare, task)
		if err == nil || !strings.Contains(err.Error(), "timed out at") || !m.stopped {
			t.Errorf("stopped %v: %v", m.stopped, err)
		}
	})
}

func TestErrorsOfErrandsHideSecrets(t *testing.T) {
	e := &telling{tidy: func(string, backout.Task) error {
		return fmt.Errorf("repo said: opensesame, password=hunter22222: %w", backout.ErrRefused)
	}}
	_, err := of(t, e, &machine{}, backout.SecretValue("opensesame")).Tend(
		t.Context(), errandPlan(), runner.ErrandRelease, errandTask("CHG1-h1.L1.s1.t1", "L1", "telling"))
	if err == nil || strings.Contains(err.Error(), "opensesame") || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "repo said") {
		t.Errorf("told: %v", err)
	}
	if !errors.Is(err, backout.ErrRefused) {
		t.Errorf("its cause is lost: %v", err)
	}
}

func TestAIDEChecksOnlyWithTheBaselinesDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		asked, has string
		fails      error
		checked    bool
	}{
		"not asked":        {"", "d1", nil, false},
		"the same":         {"d1", "d1", nil, true},
		"another database": {"d1", "d2", nil, false},
		"no AIDE there":    {"d1", "", nil, false},
		"it cannot tell":   {"d1", "d1", errors.New("aide: exit 17"), true},
	} {
		checked := false
		r := runner.New(runner.Options{
			Hosts: hosts{&machine{}},
			Capture: func(context.Context, backout.Host, backout.BaselineSpec) (backout.Inventory, error) {
				i := backout.Inventory{Schema: 1}
				if c.has != "" {
					i.AIDE = &backout.AIDEState{Database: c.has}
				}
				return i, nil
			},
			AIDE: func(context.Context, backout.Host) (backout.AIDEReport, error) {
				checked = true
				return backout.AIDEReport{Changed: []string{"/usr/sbin/nginx"}}, c.fails
			},
		})
		seen, err := r.Capture(t.Context(), runner.CaptureLook{AIDE: c.asked})
		if checked != c.checked || (err != nil) != (c.fails != nil) {
			t.Errorf("%s: checked %v, %v", name, checked, err)
		}
		if has := seen.AIDE != nil && seen.AIDE.Report != nil; has != (c.checked && c.fails == nil) {
			t.Errorf("%s: report %v", name, has)
		}
	}
}
