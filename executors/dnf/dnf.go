// Package dnf takes packages of dnf, dnf5 and yum back to the versions of the
// baseline: exactly what the patch delta says, as one transaction that names each
// version.
//
//	uses: dnf.undo
//	with: {stash: true, hold: true}
//
// It does not use "history undo". That undoes a transaction, and a patch may be
// several, with other people's between them; it cannot run when an old package has
// left the repositories; and said of something that is already undone it is a
// success with dnf and an error with dnf5. An explicit list says what has to be
// there in the end, so it can be repeated, also after an undo that was killed half
// way and has left both versions installed.
//
// Before anything is changed the transaction is solved and tested, and what it
// would do must be exactly what undoes the delta: dnf's way of removing what the
// patch has added also removes whatever needs it.
//
// A step of this kind is waited for when its level's time is up: a package
// transaction that is interrupted is worse than one that is late.
package dnf

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
	"github.com/backout-io/backout/internal/tail"
)

// Name is what a step's "uses" calls it.
const Name = "dnf.undo"

//go:embed undo.sh
var script string

// Config is the section of a step.
type Config struct {
	// Packages are patterns of names. Without them the target's own repositories are
	// asked what the patch will replace.
	Packages []string `json:"packages,omitempty" yaml:"packages,omitempty" doc:"patterns of the packages that the patch replaces, such as httpd*; needed only where the target's repositories do not show the patch before it is applied"`
	// Stash and Hold are true unless they say no.
	Stash *bool `json:"stash,omitempty" yaml:"stash,omitempty" doc:"keep a copy of the installed packages on the target before the patch; default true. With false they must be in an enabled repository at any time"`
	Hold  *bool `json:"hold,omitempty" yaml:"hold,omitempty" doc:"lock the bad versions afterwards, so that the next update does not bring them back; default true"`
	// Protect are patterns beside the ones that are always protected.
	Protect []string `json:"protect,omitempty" yaml:"protect,omitempty" doc:"patterns of further packages that must not be taken back this way"`
	// AllowProtected takes back kernels, glibc and so on all the same.
	AllowProtected bool `json:"allow_protected,omitempty" yaml:"allow_protected,omitempty" doc:"take back protected packages too: kernel, glibc, systemd, openssl-libs, selinux-policy, rpm, dnf, python3, shim, grub2, dbus and the release package; vendors do not support it"`
}

// Kind is the executor "dnf.undo".
func Kind() executors.Kind {
	k := executors.Define(Name, "take the patch's packages back to their old versions with dnf, dnf5 or yum",
		func(_ context.Context, c Config) (backout.Executor, error) { return Undo{c}, nil })
	k.WantsDelta = true
	return k
}

// Validate refuses patterns that could not be names of packages.
func (c *Config) Validate() error {
	var errs []error
	for what, list := range map[string][]string{"packages": c.Packages, "protect": c.Protect} {
		for _, p := range list {
			if err := packages.CheckPattern(p); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", what, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (c Config) stash() bool { return c.Stash == nil || *c.Stash }
func (c Config) hold() bool  { return c.Hold == nil || *c.Hold }

// Undo is one configured undo.
type Undo struct{ config Config }

var (
	_ backout.Executor    = Undo{}
	_ backout.Preflighter = Undo{}
	_ backout.Preparer    = Undo{}
	_ backout.Prober      = Undo{}
	_ backout.Cleaner     = Undo{}
	_ backout.Holder      = Undo{}
	_ backout.Privileged  = Undo{}
)

// The facts of what was prepared.
const (
	factManifest = "manifest"
	factPackages = "packages"
	factFolder   = "folder"
)

// folder is where this step keeps the old packages on the target.
func (u Undo) folder(t backout.Task) (string, error) {
	parts := u.config.Packages
	if !u.config.stash() {
		parts = append([]string{"repository"}, parts...)
	}
	return executors.Stash(t.ChangeID, "dnf", parts...)
}

var (
	changeID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	patchID   = regexp.MustCompile(`^[A-Za-z0-9_@][A-Za-z0-9_.+~^:@*?-]*$`)
	digestHex = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// exec is the script's command line for a verb. Everything a target or a change
// says is checked here: it becomes arguments of what root runs.
func (u Undo) exec(verb string, t backout.Task) (backout.Exec, error) {
	if !changeID.MatchString(t.ChangeID) {
		return backout.Exec{}, fmt.Errorf("change %q cannot name a folder", t.ChangeID)
	}
	folder, err := u.folder(t)
	if err != nil {
		return backout.Exec{}, err
	}
	kind := t.Patch.Kind
	if kind == "packages" || kind == "advisory" {
		for _, id := range t.Patch.IDs {
			if !patchID.MatchString(id) {
				return backout.Exec{}, fmt.Errorf("patch id %q is not the name of a package or an advisory", id)
			}
		}
	}
	if len(t.Patch.IDs) == 0 || kind != "packages" && kind != "advisory" {
		kind = "other"
	}
	manifest := "-"
	if m := executors.Kept(t, Name, folder)[factManifest]; m != "" {
		if !digestHex.MatchString(m) {
			return backout.Exec{}, fmt.Errorf("what was prepared has the digest %q", m)
		}
		manifest = m
	}
	e := backout.Exec{Argv: []string{
		"sh", "-c", script, "sh", verb, t.ChangeID, folder, yes(u.config.stash()), yes(u.config.hold()), manifest, kind,
		strings.Join(t.Patch.IDs, " "), strings.Join(u.config.Packages, " "), packages.HoldScript(),
	}}
	if kind == "other" {
		e.Argv[11] = ""
	}
	if t.Delta != nil {
		if err := packages.CheckDelta(packages.RPM, t.Delta); err != nil {
			return e, err
		}
		for _, c := range t.Delta.Packages {
			e.Argv = append(e.Argv, c.Name, c.Arch, orNone(c.From), orNone(c.To))
		}
	}
	return e, nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orNone(version string) string {
	if version == "" {
		return "-"
	}
	return version
}

// Sudo implements [backout.Privileged].
func (Undo) Sudo() []string {
	return []string{
		"/usr/bin/dnf", "/usr/bin/dnf5", "/usr/bin/yum", "/usr/bin/yumdownloader", "/usr/bin/repoquery", "/usr/bin/needs-restarting", "/usr/bin/rpm",
	}
}

// errNoDelta is what a step says that is asked to undo nothing it knows of.
var errNoDelta = errors.New("what the patch changed on this target is not known: there is no delta to undo")

// run runs the script as the task's attempt and returns what it said, beside
// copying it to out. An error ends with the script's own reason.
func (u Undo) run(ctx context.Context, verb string, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, facts, error) {
	e, err := u.exec(verb, t)
	if err != nil {
		return backout.Outcome{}, facts{}, backout.Permanent(err)
	}
	said := &tail.Writer{Limit: 4 << 20}
	outcome, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, said))
	f, parseErr := parse(said.Bytes())
	if err != nil {
		if f.reason != "" && outcome.ExitCode != 0 {
			err = fmt.Errorf("dnf.undo on the target: %s (exit code %d)%s", f.reason, outcome.ExitCode, f.why())
		}
		return outcome, f, err
	}
	return outcome, f, parseErr
}
