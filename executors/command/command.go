// Package command runs one command line on the target.
//
//	uses: command
//	with:
//	  argv: [/usr/local/bin/uninstall, "${BACKOUT_TARGET}"]
//	  env: {MODE: fast}
//	  dir: /srv/app
//
// No shell reads the argv. The facts of the change reach the command as
// environment variables; an element of argv, or a value of env, that is nothing
// but "${BACKOUT_NAME}" is replaced by that fact as a whole. A fact is never put
// into other text: alerts and targets are not trusted to be harmless there. Nor
// may it name the program, or begin with a dash where the program would read an
// option: such a step is refused, unless a "--" stands before it.
//
// When its level's time is up a running command is stopped: SIGTERM to its
// process group, SIGKILL ten seconds later. A command that must not be
// interrupted has to say so itself, by ignoring SIGTERM in a session of its own.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// Config is the section of a step.
type Config struct {
	// Argv is the program and its arguments; required.
	Argv []string `json:"argv" yaml:"argv" doc:"the command and its arguments; no shell reads them. An element that is exactly ${BACKOUT_…} becomes that fact; one that begins with - is refused unless -- stands before it"`
	// Env is added to the facts. Names beginning with BACKOUT_ are taken.
	Env map[string]string `json:"env,omitempty" yaml:"env,omitempty" doc:"variables beside PATH, HOME, LC_ALL=C and the BACKOUT_ facts"`
	// Dir is the absolute working directory; empty means "/".
	Dir string `json:"dir,omitempty" yaml:"dir,omitempty" doc:"working directory; default /"`
}

// Kind is the executor "command".
func Kind() executors.Kind {
	k := executors.Define("command", "run a command line on the target", func(_ context.Context, c Config) (backout.Executor, error) { return Command{c}, nil })
	k.OnOverdue = backout.OverdueStop
	return k
}

var (
	fact     = regexp.MustCompile(`^\$\{(BACKOUT_[A-Z0-9_]+)\}$`)
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Validate refuses what could not run on any target.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		errs = append(errs, errors.New("argv is empty: name the program to run, as a list such as [systemctl, restart, nginx]"))
	}
	if len(c.Argv) > 0 && fact.MatchString(c.Argv[0]) {
		errs = append(errs, fmt.Errorf("argv[0]: %s would name the program to run: name it here, and give it the fact as an argument", c.Argv[0]))
	}
	for i, a := range c.Argv {
		errs = append(errs, checkText(fmt.Sprintf("argv[%d]", i), a))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		switch {
		case !variable.MatchString(name):
			errs = append(errs, fmt.Errorf("env: %q is not a variable's name", name))
		case strings.HasPrefix(name, "BACKOUT_"):
			errs = append(errs, fmt.Errorf("env: %s: names beginning with BACKOUT_ are those of the facts: choose another", name))
		}
		errs = append(errs, checkText("env "+name, c.Env[name]))
	}
	if c.Dir != "" && !strings.HasPrefix(c.Dir, "/") {
		errs = append(errs, fmt.Errorf("dir: %q is not an absolute path", c.Dir))
	}
	return errors.Join(errs...)
}

func checkText(where, text string) error {
	switch {
	case strings.ContainsRune(text, 0):
		return fmt.Errorf("%s: a NUL byte cannot reach a program", where)
	case strings.Contains(text, "${BACKOUT_") && !fact.MatchString(text):
		return fmt.Errorf("%s: %q puts a fact into other text: make it an element of its own, or let the program read the environment variable", where, text)
	}
	return nil
}

// Command is one configured command.
type Command struct{ config Config }

var (
	_ backout.Executor    = Command{}
	_ backout.Preflighter = Command{}
)

// Execute implements [backout.Executor].
func (c Command) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	e, err := c.exec(t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	return executors.Attempt(ctx, t, h, e, out)
}

// exec puts the facts in.
func (c Command) exec(t backout.Task) (backout.Exec, error) {
	facts := executors.Facts(t)
	fill := func(text string) (string, error) {
		m := fact.FindStringSubmatch(text)
		if m == nil {
			return text, nil
		}
		value, ok := facts[m[1]]
		if !ok {
			return "", fmt.Errorf("fact %s is not known here: there are %s", m[1], strings.Join(slices.Sorted(maps.Keys(facts)), " "))
		}
		return value, nil
	}
	e := backout.Exec{Argv: make([]string, len(c.config.Argv)), Env: maps.Clone(facts), Dir: c.config.Dir}
	for i, a := range c.config.Argv {
		value, err := fill(a)
		if err != nil {
			return e, err
		}
		if value != a && strings.HasPrefix(value, "-") && !slices.Contains(c.config.Argv[:i], "--") {
			return e, fmt.Errorf("argv[%d]: %s is %q here, which the program could take for an option: put \"--\" before it, or let the program read the environment variable", i, a, value)
		}
		e.Argv[i] = value
	}
	for name, text := range c.config.Env {
		value, err := fill(text)
		if err != nil {
			return e, err
		}
		e.Env[name] = value
	}
	return e, nil
}

// Preflight implements [backout.Preflighter]: the program and the directory
// exist on the target. Whether the command would succeed only it can know.
func (c Command) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	no := func(reason, fix string) []backout.Violation {
		return []backout.Violation{{Check: "command", Target: t.Target.Name, Level: t.Level, Reason: reason, Fix: fix}}
	}
	e, err := c.exec(t)
	if err != nil {
		return no(err.Error(), "correct argv or env of the step")
	}
	const look = `[ -z "$2" ] || [ -d "$2" ] || exit 3; cd "${2:-/}" && command -v -- "$1" >/dev/null`
	r, err := h.Run(ctx, backout.Exec{Argv: []string{"sh", "-c", look, "sh", e.Argv[0], e.Dir}})
	switch {
	case err != nil:
		return no(err.Error(), "make the target reachable")
	case r.ExitCode == 3:
		return no(fmt.Sprintf("directory %q does not exist on the target", e.Dir), "create it, or correct dir")
	case r.ExitCode != 0:
		return no(fmt.Sprintf("program %q is not found on the target", e.Argv[0]), "install it, or give its full path")
	}
	return nil
}
