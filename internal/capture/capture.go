// Package capture looks at a target and returns its inventory: one read-only shell
// script, and the readers of what it prints. The script needs a POSIX shell, sed and
// cat beside the tools of the parts that it looks at.
package capture

import (
	"context"
	_ "embed" // the script is a file, so that shellcheck reads it too
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/backout-io/backout"
)

//go:embed script.sh
var script string

// Name is the script's name for itself: argument 3 of its command line.
const Name = "backout-capture"

// The bounds of one look. What is beyond is an error, never cut.
const (
	// maxOutput is where [backout.Host].Run cuts.
	maxOutput   = 1 << 20
	maxInflated = 16 << 20
	maxFiles    = 2000
	maxPatterns = 500
)

// Take looks at the target once. It returns the whole inventory or an error, never
// a part of it; an error names the part, the tool and its version, and what to do.
// One that is about the target itself, not the way to it, is a [*MissingError] or
// wraps [backout.ErrInvalid]; [ErrBusy] asks to come again. It changes nothing.
func Take(ctx context.Context, h backout.Host, spec backout.BaselineSpec) (backout.Inventory, error) {
	e, err := command(spec)
	if err != nil {
		return backout.Inventory{}, err
	}
	r, err := h.Run(ctx, e)
	if err != nil {
		return backout.Inventory{}, fmt.Errorf("look at the target: %w", err)
	}
	said, err := unframe(r)
	if err != nil {
		return backout.Inventory{}, err
	}
	return read(said, spec)
}

// command is the script for what the plan asks.
func command(spec backout.BaselineSpec) (backout.Exec, error) {
	if len(spec.Files) > maxPatterns {
		return backout.Exec{}, invalid("baseline files: %d patterns, at most %d are looked at: name folders with wildcards", len(spec.Files), maxPatterns)
	}
	parts := []string{backout.PartUnits, backout.PartPorts, backout.PartMounts, backout.PartAccounts, backout.PartFiles, backout.PartAIDE}
	for _, p := range spec.Without {
		if !slices.Contains(parts, p) {
			return backout.Exec{}, invalid("baseline without %q: there is no such part, there are %s", p, strings.Join(parts, ", "))
		}
	}
	argv := []string{"sh", "-c", script, Name, " " + strings.Join(spec.Without, " ") + " "}
	for _, p := range spec.Files {
		if err := checkPattern(p); err != nil {
			return backout.Exec{}, err
		}
		argv = append(argv, strings.ReplaceAll(p, "[^", "[!"))
	}
	return backout.Exec{Argv: argv}, nil
}

// checkPattern refuses what a shell would read in another way than path.Match.
func checkPattern(p string) error {
	switch _, err := path.Match(p, ""); {
	case !path.IsAbs(p) || path.Clean(p) != p || p == "/":
		return invalid("baseline files: %q is not an absolute path without . and .. and double slashes", p)
	case strings.ContainsFunc(p, control) || strings.Contains(p, `\`):
		return invalid("baseline files: %q has a backslash or a control character: use ? in its place", p)
	case err != nil:
		return invalid("baseline files: %q is not a pattern: close the bracket", p)
	}
	return nil
}

// control tells of what a terminal would not show, or obey.
func control(r rune) bool { return !unicode.IsPrint(r) }

// invalid is an error about the target or the plan; to ask again does not help.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", backout.ErrInvalid, fmt.Errorf(format, args...))
}

// ErrBusy says that a package manager is at work on the target: what it looks like
// is known once that is done.
var ErrBusy = errors.New("wait until it is done")

// MissingError says that a tool is missing on the target.
type MissingError struct {
	Part, Tool, Package string
}

// Error implements error.
func (e *MissingError) Error() string {
	return "look at " + e.Part + ": " + e.Tool + " is not there: install " + e.Package
}

// Is makes it an [backout.ErrInvalid]: to ask again does not help.
func (e *MissingError) Is(target error) bool { return target == backout.ErrInvalid }

// read makes the inventory of what the script said.
func read(said sections, spec backout.BaselineSpec) (backout.Inventory, error) {
	inv := backout.Inventory{Schema: 1, Without: slices.Clone(spec.Without)}
	if err := readMachine(said, &inv.Machine); err != nil {
		return backout.Inventory{}, err
	}
	if err := readPackages(said, &inv.Packages); err != nil {
		return backout.Inventory{}, err
	}
	for _, part := range []struct {
		name string
		read func(sections, *backout.Inventory) error
	}{
		{backout.PartUnits, readUnits},
		{backout.PartPorts, readPorts},
		{backout.PartMounts, readMounts},
		{backout.PartAccounts, readAccounts},
		{backout.PartFiles, readFiles},
		{backout.PartAIDE, readAIDE},
	} {
		if slices.Contains(spec.Without, part.name) {
			continue
		}
		if err := part.read(said, &inv); err != nil {
			return backout.Inventory{}, err
		}
	}
	inv.Without = slices.Compact(slices.Sorted(slices.Values(inv.Without)))
	inv.Sort()
	return inv, nil
}
