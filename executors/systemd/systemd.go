// Package systemd restarts, starts and stops units, and looks afterwards whether
// they are what was asked for: an exit code of 0 says that the job was done, not
// that the unit stayed.
//
//	uses: systemd.restart
//	with: {unit: nginx.service}
//
// A step of these kinds is waited for when its level's time is up: the job
// belongs to systemd, which has time-outs of its own.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// Config is the section of a step.
type Config struct {
	// Unit is the full name of a unit: "nginx.service".
	Unit string `json:"unit" yaml:"unit" doc:"the unit with its suffix, such as nginx.service"`
}

// Kinds are systemd.restart, systemd.start and systemd.stop.
func Kinds() []executors.Kind {
	kind := func(verb, doc string) executors.Kind {
		return executors.Define("systemd."+verb, doc, func(_ context.Context, c Config) (backout.Executor, error) { return Unit{verb, c.Unit}, nil })
	}
	return []executors.Kind{
		kind("restart", "restart a unit and see that it is active"),
		kind("start", "start a unit and see that it is active"),
		kind("stop", "stop a unit and see that it is not active"),
	}
}

// The characters and types are those of systemd.unit(5).
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\.(service|socket|target|timer|mount|automount|swap|path|slice|scope|device)$`)

// Validate refuses what is not a unit's name.
func (c *Config) Validate() error {
	switch {
	case c.Unit == "":
		return errors.New("unit is empty: name the unit, such as nginx.service")
	case len(c.Unit) > 255 || !unitName.MatchString(c.Unit):
		return fmt.Errorf("unit: %q is not a unit's full name: write it with its type, such as nginx.service", c.Unit)
	}
	return nil
}

// Unit is one configured action on a unit.
type Unit struct{ verb, name string }

var (
	_ backout.Executor    = Unit{}
	_ backout.Preflighter = Unit{}
)

// Execute implements [backout.Executor].
func (u Unit) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	e := backout.Exec{Argv: []string{"systemctl", "--no-ask-password", u.verb, "--", u.name}, Env: executors.Facts(t)}
	outcome, err := executors.Attempt(ctx, t, h, e, out)
	if err != nil {
		return outcome, err
	}
	s, err := u.settled(ctx, h)
	if err != nil {
		return outcome, err
	}
	outcome.Summary = fmt.Sprintf("%s is %s", u.name, s.active)
	fmt.Fprintln(out, outcome.Summary)
	if !u.reached(s) {
		return outcome, fmt.Errorf("systemctl %s ended well, but %s is %s (result %s)", u.verb, u.name, s.active, s.result)
	}
	return outcome, nil
}

// A unit that is on its way gets this long to arrive.
const (
	settle = 10 * time.Second
	look   = 200 * time.Millisecond
)

// settled returns the unit's state once it is not on its way any more.
func (u Unit) settled(ctx context.Context, h backout.Host) (unitState, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	late := time.NewTimer(settle)
	defer late.Stop()
	for {
		s, err := u.show(ctx, h)
		if err != nil || s.active != "activating" && s.active != "deactivating" && s.active != "reloading" {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-late.C:
			return s, nil
		case <-tick.C:
		}
	}
}

// reached tells whether the state is what the verb asks for. A oneshot service
// is inactive again after it has done its work well.
func (u Unit) reached(s unitState) bool {
	if u.verb == "stop" {
		return s.active == "inactive" || s.active == "failed"
	}
	return s.active == "active" || s.kind == "oneshot" && s.active == "inactive" && s.result == "success"
}

type unitState struct{ load, active, result, kind string }

// show reads the unit's state. It exits with 0 for a unit that does not exist,
// so only LoadState tells.
func (u Unit) show(ctx context.Context, h backout.Host) (unitState, error) {
	r, err := h.Run(ctx, backout.Exec{Argv: []string{"systemctl", "show", "--property=LoadState,ActiveState,Result,Type", "--", u.name}})
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("systemctl show: exit code %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	if err != nil {
		return unitState{}, fmt.Errorf("look at %s: %w", u.name, err)
	}
	var s unitState
	for line := range strings.Lines(string(r.Stdout)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "LoadState":
			s.load = value
		case "ActiveState":
			s.active = value
		case "Result":
			s.result = value
		case "Type":
			s.kind = value
		}
	}
	if s.active == "" {
		return s, fmt.Errorf("look at %s: systemctl show tells no ActiveState", u.name)
	}
	return s, nil
}

// Preflight implements [backout.Preflighter]: systemctl is there and answers,
// and the unit can be loaded.
func (u Unit) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	no := func(reason, fix string) []backout.Violation {
		return []backout.Violation{{Check: "systemd", Target: t.Target.Name, Level: t.Level, Reason: reason, Fix: fix}}
	}
	s, err := u.show(ctx, h)
	switch {
	case err != nil:
		return no(err.Error(), "the target must run systemd and be reachable")
	case s.load != "loaded":
		return no(fmt.Sprintf("unit %s is %s on the target", u.name, s.load), "correct the unit's name, or unmask it")
	}
	return nil
}
