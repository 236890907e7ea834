package checks

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// Command is the section of a command check: run on the target, green when it
// exits with 0. It must look only.
//
// The command has BACKOUT_TARGET, BACKOUT_TARGET_ADDRESS and BACKOUT_CHANGE_ID
// in its environment; an element of argv that is nothing but one of them, as
// "${BACKOUT_TARGET}", is replaced as a whole.
type Command struct {
	Argv []string `json:"argv" yaml:"argv" doc:"run on the target; exit code 0 is green"`
	// Timeout is 10 s when zero.
	Timeout backout.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty" doc:"red when it takes longer"`
}

func commandKind() Kind {
	return plugin.Define("command", "run a command on the target that exits with 0 when all is well", func(_ context.Context, c Command) (Checker, error) {
		return commandCheck{c}, nil
	})
}

var fact = regexp.MustCompile(`^\$\{(BACKOUT_TARGET|BACKOUT_TARGET_ADDRESS|BACKOUT_CHANGE_ID)\}$`)

// Validate refuses what could not run on any target.
func (c *Command) Validate() error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return errors.New("argv is empty: name the program to run, as a list")
	}
	for i, a := range c.Argv {
		switch {
		case strings.ContainsRune(a, 0):
			return fmt.Errorf("argv[%d]: a NUL byte cannot reach a program", i)
		case strings.Contains(a, "${BACKOUT_") && !fact.MatchString(a):
			return fmt.Errorf("argv[%d]: %q: BACKOUT_TARGET, BACKOUT_TARGET_ADDRESS and BACKOUT_CHANGE_ID may be elements of their own; in other text let the program read the environment", i, a)
		}
	}
	return nil
}

type commandCheck struct{ c Command }

// Check implements [Checker].
func (k commandCheck) Check(ctx context.Context, s Subject) Result {
	address := s.Target.Address
	if address == "" {
		address = s.Target.Name
	}
	facts := map[string]string{"BACKOUT_TARGET": s.Target.Name, "BACKOUT_TARGET_ADDRESS": address, "BACKOUT_CHANGE_ID": s.ChangeID}
	argv := make([]string, len(k.c.Argv))
	for i, a := range k.c.Argv {
		if m := fact.FindStringSubmatch(a); m != nil {
			a = facts[m[1]]
		}
		argv[i] = a
	}
	ctx, cancel := context.WithTimeout(ctx, orDefault(k.c.Timeout, 10*time.Second))
	defer cancel()
	r, err := s.Host.Run(ctx, backout.Exec{Argv: argv, Env: facts})
	switch {
	case err != nil:
		return red("%v", err)
	case r.ExitCode != 0:
		return red("%s exits with %d: %s%s", argv[0], r.ExitCode, r.Stdout, r.Stderr)
	}
	return green("%s exits with 0", argv[0])
}
