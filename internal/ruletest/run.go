package ruletest

import (
	"context"
	"regexp"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/internal/strictyaml"
	"github.com/backout-io/backout/rules"
)

// Options say which tests run.
type Options struct {
	// Match picks tests by their names; nil picks all.
	Match *regexp.Regexp
}

// Run reads test files and runs their tests. An error means that the run was cut
// short; what is wrong with a file, or with a rule, stands in the report.
func Run(ctx context.Context, names []string, o Options) (Report, error) {
	r := Report{Files: []FileResult{}}
	var parts []Coverage
	for _, name := range names {
		f, problems := Open(name)
		result := FileResult{File: name, Problems: problems, Tests: []TestResult{}}
		if f != nil {
			covered, err := f.run(ctx, o, &result)
			if err != nil {
				return r, err
			}
			result.Percent = covered.Percent
			parts = append(parts, covered)
		}
		for _, t := range result.Tests {
			r.Tests++
			if len(t.Failures) > 0 {
				r.Failed++
			}
		}
		r.Files = append(r.Files, result)
	}
	r.Coverage = together(parts...)
	return r, nil
}

func (f *File) run(ctx context.Context, o Options, result *FileResult) (Coverage, error) {
	watch := newWatch(f)
	for _, t := range f.tests {
		if o.Match != nil && !o.Match.MatchString(t.spec.Name.Value) {
			continue
		}
		r := &testRun{file: f, test: t, watch: watch}
		if err := r.run(ctx); err != nil {
			return Coverage{}, err
		}
		result.Tests = append(result.Tests, TestResult{
			Name: t.spec.Name.Value, Line: t.spec.Pos.Line, Failures: r.failures, Events: r.events,
		})
	}
	return together(watch.coverage()), nil
}

// testRun is one run of a test.
type testRun struct {
	file     *File
	test     *test
	watch    *watch
	seen     seen
	checked  int // how many expectations were looked at
	events   []Event
	failures []Failure
}

func (r *testRun) run(ctx context.Context) error {
	o := replay.Options{Until: r.file.start.Add(r.test.end()), Look: r.look, Judged: r.watch.judged, Modes: r.test.mode}
	for _, e := range r.test.spec.Expect {
		o.Looks = append(o.Looks, r.file.start.Add(time.Duration(e.At.Value)))
	}
	r.events = []Event{}
	_, err := replay.Run(ctx, r.file.set, r.file.history(r.test), o, r.event)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.fail(r.test.spec.Pos, r.file.after(o.Until), "error", err.Error())
	}
	return nil
}

func (f *File) after(at time.Time) backout.Duration { return backout.Duration(at.Sub(f.start)) }

func (r *testRun) event(e replay.Event) error {
	r.events = append(r.events, Event{After: r.file.after(e.At), Event: e})
	r.seen.add(e)
	r.watch.followed(e)
	if e.Error != "" {
		r.fail(r.test.spec.Pos, r.file.after(e.At), "error", e.Error)
	}
	return nil
}

func (r *testRun) fail(at strictyaml.Pos, after backout.Duration, what, text string) *Failure {
	r.failures = append(r.failures, Failure{File: at.File, Line: at.Line, Column: at.Column, At: after, What: what, Error: text})
	return &r.failures[len(r.failures)-1]
}

// look holds what is expected at a moment against what there is.
func (r *testRun) look(at time.Time, w rules.World) {
	m := moment{r, at, w}
	for ; r.checked < len(r.test.spec.Expect); r.checked++ {
		e := r.test.spec.Expect[r.checked]
		if e.At.Value > r.file.after(at) {
			return
		}
		if e.Verdicts != nil {
			m.compare(e, "verdicts", entries(e.Verdicts), r.seen.verdicts, verdictText)
		}
		if e.Rollbacks != nil {
			m.compare(e, "rollbacks", entries(e.Rollbacks), r.seen.rollbacks, rollbackText)
		}
		if e.Stopped != nil {
			m.compare(e, "stopped", entries(e.Stopped), r.seen.stopped, stoppedText)
		}
	}
}

// moment is the time of an expectation, and the world as it is then.
type moment struct {
	*testRun
	at    time.Time
	world rules.World
}

func (m moment) compare(e expectSpec, what string, want []entry, got []replay.Event, text func(replay.Event) string) {
	ofWant, ofGot := pair(want, got)
	var diff []Difference
	var why []Reason
	var missing []entry
	good := true
	for i, entry := range want {
		if j := ofWant[i]; j >= 0 {
			diff = append(diff, Difference{" ", text(got[j])})
			continue
		}
		good = false
		missing = append(missing, entry)
		diff = append(diff, Difference{"-", entry.text})
		if what == "verdicts" {
			why = append(why, m.noVerdict(entry)...)
		} else {
			why = append(why, m.nothing(entry)...)
		}
	}
	for j, event := range got {
		if ofGot[j] >= 0 {
			continue
		}
		good = false
		diff = append(diff, Difference{"+", text(event)})
		// One that differs from what is missing is explained by the comparison.
		if !slices.ContainsFunc(missing, func(e entry) bool { return e.about(event) }) {
			why = append(why, m.because(event))
		}
	}
	if good {
		return
	}
	why = m.fresh(e.Pos, why)
	f := m.fail(e.Pos, e.At.Value, what, "")
	f.Diff, f.Why = diff, why
}
