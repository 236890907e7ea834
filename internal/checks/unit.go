package checks

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// Unit is the section of a unit check: green when systemd says that the unit is
// active.
type Unit struct {
	// Name is the full name of a unit: "nginx.service".
	Name string `json:"name" yaml:"name" doc:"the unit with its suffix"`
}

func unitKind() Kind {
	return plugin.Define("unit", "ask systemd whether a unit is active", func(_ context.Context, c Unit) (Checker, error) { return unitCheck{c.Name}, nil })
}

// The characters and types are those of systemd.unit(5).
var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,240}\.(service|socket|target|timer|mount|automount|swap|path|slice|scope|device)$`)

// Validate refuses what is not a unit's name.
func (c *Unit) Validate() error {
	if !unitName.MatchString(c.Name) {
		return fmt.Errorf("name: %q is not a unit's full name: write it with its type, such as nginx.service", c.Name)
	}
	return nil
}

type unitCheck struct{ name string }

// Check implements [Checker].
func (u unitCheck) Check(ctx context.Context, s Subject) Result {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := s.Host.Run(ctx, backout.Exec{Argv: []string{"systemctl", "is-active", "--", u.name}})
	said := strings.TrimSpace(string(r.Stdout))
	switch {
	case err != nil:
		return red("%v", err)
	case r.ExitCode != 0 || said != "active":
		return red("%s is %s%s", u.name, said, r.Stderr)
	}
	return green("%s is active", u.name)
}
