// Package apt undoes a patch on Debian and Ubuntu: every package of the patch delta
// goes back to exactly the version that it had, in one transaction of apt in which
// nothing else may change.
//
//	uses: apt.undo
//	with: {stash: true, hold: true}
//
// Debian's mirrors keep only the newest version of a suite, so the old ones are
// kept on the target before the patch: from apt's cache, from a repository that
// still has them, or packed again from what is installed where dpkg-repack is
// there. Debian does not promise that maintainer scripts work backwards; the
// solver's dry run, which the preflight is, does not run them.
//
// Packages that the patch added are removed, not purged, unless something else
// needs them by then. Configuration files stay as they are on the target.
//
// "apt history-undo" of apt 3.2 is not used: it lets apt resolve anew from what the
// repositories have, knows nothing of kept files, and its history begins when apt
// was upgraded. The inverse transaction works the same on every apt.
package apt

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
)

// Name is what a step's "uses" calls it.
const Name = "apt.undo"

// Config is the section of a step.
type Config struct {
	// Packages limits the step to the packages that fit one of these patterns, and
	// keeps them although no upgrade of them is pending.
	Packages []string `json:"packages,omitempty" yaml:"packages" doc:"patterns of package names: only they are undone, and they are kept whether or not the target's repositories show their patch yet; default all that the patch changes"`
	// Stash and Hold are yes unless they are set to false.
	Stash *bool `json:"stash,omitempty" yaml:"stash" doc:"keep the files of the versions that are installed on the target before the patch; default true"`
	Hold  *bool `json:"hold,omitempty" yaml:"hold" doc:"keep the patch from coming back by apt-mark hold; default true"`
	// AllowProtected undoes what the running system stands on too.
	AllowProtected bool `json:"allow_protected,omitempty" yaml:"allow_protected" doc:"also take back libc, systemd, dpkg, boot loaders, kernels and packages marked essential; default false"`
}

// Kind is apt.undo.
func Kind() executors.Kind {
	k := executors.Define(Name, "bring the packages that the patch changed back to their old versions with apt, and hold them",
		func(_ context.Context, c Config) (backout.Executor, error) { return Undo{c}, nil })
	k.WantsDelta = true
	return k
}

// Validate refuses what is no pattern of package names.
func (c *Config) Validate() error {
	for _, p := range c.Packages {
		if err := packages.CheckPattern(p); err != nil {
			return fmt.Errorf("packages: %w", err)
		}
	}
	return nil
}

// Undo is one configured step.
type Undo struct{ c Config }

var (
	_ backout.Executor    = Undo{}
	_ backout.Preflighter = Undo{}
	_ backout.Preparer    = Undo{}
	_ backout.Prober      = Undo{}
	_ backout.Cleaner     = Undo{}
	_ backout.Holder      = Undo{}
	_ backout.Privileged  = Undo{}
)

func (u Undo) stash() bool { return u.c.Stash == nil || *u.c.Stash }
func (u Undo) hold() bool  { return u.c.Hold == nil || *u.c.Hold }

// Sudo implements [backout.Privileged].
func (u Undo) Sudo() []string {
	return []string{"/usr/bin/apt-get", "/usr/bin/apt-mark", "/usr/bin/dpkg --configure *", "/usr/bin/dpkg-repack", "/usr/bin/sh", "/bin/sh"}
}

//go:embed common.sh
var commonText string

//go:embed undo.sh
var undoText string

//go:embed gate.sh
var gateText string

//go:embed kept.sh
var keptText string

//go:embed try.sh
var tryText string

//go:embed prepare.sh
var prepareText string

//go:embed execute.sh
var executeText string

//go:embed probe.sh
var probeText string

// script is a command line for one of the texts. Whatever a target or a person has
// named is an argument of its own.
func script(text string, args ...string) backout.Exec {
	return backout.Exec{Argv: append([]string{"sh", "-c", commonText + undoText + text, "sh"}, args...)}
}

// folder is where a target keeps what this step needs for the change's way back.
func (u Undo) folder(change string) (string, error) {
	parts := u.c.Packages
	if !u.stash() {
		parts = append([]string{"repository"}, parts...)
	}
	return executors.Stash(change, "apt", parts...)
}

// prepared is what this step has prepared, or nil.
func (u Undo) prepared(t backout.Task) map[string]string {
	folder, err := u.folder(t.ChangeID)
	if err != nil {
		return nil
	}
	return executors.Kept(t, Name, folder)
}
