package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/gate"
	"github.com/backout-io/backout/internal/runner"
)

const (
	// surveyParallel is how many targets of a change are looked at at once.
	surveyParallel = 64
	// surveyTimeout bounds what one target may take for all its looks.
	surveyTimeout = time.Minute
)

// each calls fn for every target of the change that the inventory knows, several
// at once, with its place in the change.
func (cfg *Config) each(ctx context.Context, c backout.Change, timeout time.Duration, fn func(ctx context.Context, i int, t backout.Target)) {
	slots := make(chan struct{}, surveyParallel)
	var all sync.WaitGroup
	for i, name := range c.Targets {
		target, ok := cfg.Inventory[name]
		if !ok {
			continue // the gate says so itself
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			fn(ctx, i, target)
		})
	}
	all.Wait()
}

// survey is what was found on the targets of a change.
type survey struct {
	mu      sync.Mutex
	answers map[string][]gate.Answer
	// digests are those of what was captured, by target.
	digests map[string]string
	// itsm is what came of asking for the change's record; nil where nobody is asked.
	itsm *gate.ITSM
}

func newSurvey() *survey {
	return &survey{answers: map[string][]gate.Answer{}, digests: map[string]string{}}
}

// add notes what was found on one target; an empty digest says that nothing was
// captured.
func (s *survey) add(target, digest string, answers []gate.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[target] = answers
	if digest != "" {
		s.digests[target] = digest
	}
}

// all are the answers in the order of the change's targets.
func (s *survey) all(c backout.Change) []gate.Answer {
	var out []gate.Answer
	for _, t := range c.Targets {
		out = append(out, s.answers[t]...)
	}
	return out
}

// surveyed is one target's look: what there is to ask about it, and who asks.
type surveyed struct {
	e      *Engine
	cfg    *Config
	c      backout.Change
	frozen backout.FrozenPlan
	target backout.Target
	// prepared is what was made on it for the way back, where the change's log does
	// not have it yet.
	prepared []backout.Prepared
	// opened is set once that is all of it.
	opened bool
}

// step is one step of the plan in its place; level counts from 0 where the step is
// one of a level's.
type step struct {
	level      backout.Level
	levelIndex int
	index      int
	backout.Step
}

// part says where the step stands, as ids of errands do.
func (s step) part() string {
	switch s.level.Name {
	case backout.LevelBaseline:
		return runner.PartBaseline
	case backout.LevelCleanup:
		return runner.PartCleanup
	}
	return runner.LevelPart(s.levelIndex)
}

// stepsOf are the steps of all levels; baselineStepsOf those that are run while the
// window opens.
func stepsOf(p backout.Plan) []step {
	var out []step
	for i, level := range p.Levels {
		for j, s := range level.Steps {
			out = append(out, step{level, i, j, s})
		}
	}
	return out
}

func baselineStepsOf(p backout.Plan) []step { return under(backout.LevelBaseline, p.Baseline.Steps) }
func cleanupStepsOf(p backout.Plan) []step  { return under(backout.LevelCleanup, p.Cleanup) }

func under(name string, steps []backout.Step) []step {
	out := make([]step, len(steps))
	for i, s := range steps {
		out[i] = step{backout.Level{Name: name}, -1, i, s}
	}
	return out
}

// task is what the executor of a step gets to know outside of a rollback.
func (s surveyed) task(ctx context.Context, st step, attemptID string) (backout.Task, error) {
	t := backout.Task{
		AttemptID: attemptID, ChangeID: s.c.ID, Level: st.level.Name, Step: st.Step, Target: s.target, PlanHash: s.frozen.Hash,
		Facts: facts(backout.Rollback{ChangeID: s.c.ID, Patch: s.c.Patch}, &st.level, s.target, attemptID),
	}
	err := s.e.fillTask(ctx, s.c, &t)
	if s.prepared != nil {
		t.Prepared = s.prepared
	}
	t.Opened = t.Opened || s.opened
	return t, err
}

// preflight asks the executors of the steps whether they would succeed now. A
// target that does not answer is asked once.
func (s surveyed) preflight(ctx context.Context, steps []step) []gate.Answer {
	site := s.cfg.site(s.target)
	out := make([]gate.Answer, 0, len(steps)+2)
	for _, st := range steps {
		task, err := s.task(ctx, st, "")
		if err != nil {
			return append(out, s.no(gate.CheckPreflight, err, "check the gate again"))
		}
		said, err := site.Preflight(ctx, s.frozen, task)
		if err != nil {
			return append(out, s.unreachable(err))
		}
		out = append(out, gate.Answer{
			Target: s.target.Name, Level: st.level.Name, Step: st.index, Check: st.Uses, Violations: said.Violations, Loses: said.Loses,
		})
	}
	return append([]gate.Answer{{Target: s.target.Name, Check: gate.CheckReachable}}, out...)
}

// no is an answer about the target as a whole.
func (s surveyed) no(check string, err error, fix string) gate.Answer {
	return gate.Answer{Target: s.target.Name, Check: check, Violations: []backout.Violation{{
		Check: check, Target: s.target.Name, Reason: clip(err.Error(), reasonMax), Fix: fix,
	}}}
}

func (s surveyed) unreachable(err error) gate.Answer {
	if backout.IsPermanent(err) {
		return s.no(gate.CheckReachable, err, "correct the target in the inventory")
	}
	return s.no(gate.CheckReachable, err, "make the target reachable, then check the gate again")
}

// inventory captures the target; the answer says why not where there is none.
func (s surveyed) inventory(ctx context.Context) (backout.Inventory, gate.Answer, bool) {
	inv, err := s.cfg.site(s.target).Capture(ctx, runner.CaptureLook{Target: s.target, ChangeID: s.c.ID, Frozen: s.frozen})
	missing, lacks := errors.AsType[*capture.MissingError](err)
	switch {
	case err == nil:
		return inv, gate.Answer{Target: s.target.Name, Check: gate.CheckCapture}, true
	case lacks:
		return inv, s.no(gate.CheckCapture, err, "install "+missing.Package+" on the target"), false
	case errors.Is(err, capture.ErrBusy):
		return inv, s.no(gate.CheckCapture, err, "wait until its package manager is done, then check the gate again"), false
	case errors.Is(err, backout.ErrInvalid):
		return inv, s.no(gate.CheckCapture, err, "mend the tool on the target, or leave its part out: baseline.without in the plan"), false
	}
	return inv, s.unreachable(err), false
}

// store keeps v under the digest of its content.
func (s surveyed) store(ctx context.Context, v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return s.e.store.Artifacts.Put(ctx, data)
}

// look is a whole look that changes nothing: what the executors say, and what the
// target looks like, stored.
func (s surveyed) look(ctx context.Context) (digest string, answers []gate.Answer) {
	answers = s.preflight(ctx, slices.Concat(baselineStepsOf(s.frozen.Plan), stepsOf(s.frozen.Plan)))
	if lost(answers) {
		return "", answers
	}
	inv, said, ok := s.inventory(ctx)
	if ok {
		var err error
		if digest, err = s.store(ctx, inv); err != nil {
			said = s.no(gate.CheckCapture, err, "make the store take writes, then check the gate again")
		}
	}
	return digest, slices.Insert(answers, 1, said)
}

// lost tells whether the target itself did not answer.
func lost(answers []gate.Answer) bool {
	return slices.ContainsFunc(answers, func(a gate.Answer) bool { return a.Level == "" && len(a.Violations) > 0 })
}
