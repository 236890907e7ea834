// Package pkg keeps the versions of a bad patch from coming back, with the locks of
// the target's own package manager, and ends that again. The executors that undo
// patches lock by themselves; these are for what they do not do: after a snapshot
// is restored the next update would bring the patch back.
//
//	uses: package.hold
//
// dnf, dnf5, yum and zypper lock exactly the bad version, so a later one can come.
// apt holds the package as it is, and no newer one comes until it is released.
package pkg

import (
	"bytes"
	"context"
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

// Config is the section of a step: there is nothing to set. What is locked are the
// versions that the patch brought.
type Config struct{}

// Kinds are package.hold and package.release.
func Kinds() []executors.Kind {
	hold := executors.Define("package.hold", "lock the versions that the patch brought, so that no update brings them back",
		func(context.Context, Config) (backout.Executor, error) { return Hold{}, nil })
	hold.WantsDelta = true
	release := executors.Define("package.release", "release the locks that were placed for the change",
		func(context.Context, Config) (backout.Executor, error) { return Release{}, nil })
	return []executors.Kind{hold, release}
}

// Hold is a step that locks.
type Hold struct{}

var (
	_ backout.Executor    = Hold{}
	_ backout.Preflighter = Hold{}
	_ backout.Prober      = Hold{}
	_ backout.Holder      = Hold{}
	_ backout.Privileged  = Hold{}
)

var changeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// lock is the command line for a verb, with how many locks it is about. Without a
// delta it is about none, and the target finds out by itself what it is managed with.
func lock(verb packages.HoldVerb, t backout.Task) (backout.Exec, int, error) {
	if !changeID.MatchString(t.ChangeID) {
		return backout.Exec{}, 0, fmt.Errorf("change %q cannot name a record", t.ChangeID)
	}
	t.Delta = packages.Clean(t.Delta)
	if t.Delta == nil || len(t.Delta.Packages) == 0 {
		return packages.Hold(verb, packages.FrontAny, t.ChangeID, nil), 0, nil
	}
	if err := packages.CheckDelta(t.Delta.Manager, t.Delta); err != nil {
		return backout.Exec{}, 0, err
	}
	front := packages.FrontRPM
	if t.Delta.Manager == packages.DPKG {
		front = packages.FrontAPT
	}
	return packages.Hold(verb, front, t.ChangeID, t.Delta.Packages), packages.HoldCount(front, t.Delta.Packages), nil
}

// attempt runs the command line as the task's attempt.
func attempt(ctx context.Context, t backout.Task, h backout.Host, e backout.Exec, out io.Writer) (backout.Outcome, []byte, error) {
	said := &tail.Writer{Limit: 1 << 20}
	o, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, said))
	return o, said.Bytes(), packages.Explain(err, said.Bytes())
}

// Execute implements [backout.Executor].
func (Hold) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if t.Delta == nil {
		return backout.Outcome{}, backout.Permanent(errors.New("what the patch changed on this target is not known: there is nothing to lock"))
	}
	e, want, err := lock(packages.HoldPlace, t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	o, said, err := attempt(ctx, t, h, e, out)
	if err != nil {
		return o, err
	}
	locks, err := packages.ParseLocks(said, want)
	if err != nil {
		return o, err
	}
	o.Held = packages.Ours(locks)
	o.Summary = fmt.Sprintf("%d bad versions locked", len(locks)-len(packages.Free(locks)))
	if n := len(locks) - len(o.Held); n > 0 {
		o.Summary += fmt.Sprintf(", %d of them by somebody else before", n)
	}
	return o, settled(locks)
}

// settled is an error when a lock is missing.
func settled(locks []packages.Lock) error {
	if free := packages.Free(locks); len(free) > 0 {
		return fmt.Errorf("not locked: %s", strings.Join(free, ", "))
	}
	return nil
}

// Preflight implements [backout.Preflighter]: the target's package manager has
// locks that work.
func (Hold) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	e, _, err := lock(packages.HoldLook, t)
	if err != nil {
		return violation(t, "package.hold", err.Error(), "capture the baseline again")
	}
	r, err := h.Run(ctx, e)
	switch {
	case err != nil:
		return violation(t, "package.hold", err.Error(), "make the target reachable")
	case r.ExitCode != 0:
		return violation(t, "package.hold", packages.Explain(errors.New("nothing would keep the patch from coming back"), r.Stderr).Error(),
			"install or correct what is named")
	}
	return nil
}

func violation(t backout.Task, check, reason, fix string) []backout.Violation {
	return []backout.Violation{{Check: check, Target: t.Target.Name, Level: t.Level, Reason: reason, Fix: fix}}
}

// Probe implements [backout.Prober].
func (Hold) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	if t.Delta == nil {
		return backout.Probed{State: backout.ProbeUnknown, Detail: "what the patch changed is not known"}, nil
	}
	report, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{}, fmt.Errorf("look at the attempt: %w", err)
	}
	if report.State == backout.AttemptRunning {
		return backout.Probed{State: backout.ProbeInProgress}, nil
	}
	locks, err := look(ctx, t, h)
	if err != nil {
		return backout.Probed{}, err
	}
	free := packages.Free(locks)
	switch {
	case len(free) == 0:
		return backout.Probed{State: backout.ProbeDone, Detail: fmt.Sprintf("all %d versions are locked", len(locks)), Held: packages.Ours(locks)}, nil
	case len(free) == len(locks):
		return backout.Probed{State: backout.ProbeNotDone, Detail: "no version is locked"}, nil
	}
	return backout.Probed{State: backout.ProbeBroken, Detail: "not locked: " + strings.Join(free, ", ")}, nil
}

func look(ctx context.Context, t backout.Task, h backout.Host) ([]packages.Lock, error) {
	e, want, err := lock(packages.HoldLook, t)
	if err != nil {
		return nil, backout.Permanent(err)
	}
	r, err := h.Run(ctx, e)
	if err == nil && r.ExitCode != 0 {
		err = packages.Explain(fmt.Errorf("exit code %d", r.ExitCode), r.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("look at the locks: %w", err)
	}
	return packages.ParseLocks(r.Stdout, want)
}

// Release implements [backout.Holder].
func (Hold) Release(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	_, err := Release{}.Execute(ctx, t, h, out)
	return err
}

// Sudo implements [backout.Privileged].
func (Hold) Sudo() []string {
	return []string{"/usr/bin/dnf", "/usr/bin/dnf5", "/usr/bin/yum", "/usr/bin/zypper", "/usr/bin/apt-mark"}
}

// Release is a step that releases what was locked for its change. What others had
// locked before stays, and so does what another change has locked too.
type Release struct{}

var (
	_ backout.Executor    = Release{}
	_ backout.Preflighter = Release{}
	_ backout.Privileged  = Release{}
)

// Execute implements [backout.Executor].
func (Release) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	e, _, err := lock(packages.HoldRelease, t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	o, said, err := attempt(ctx, t, h, e, out)
	if err != nil {
		return o, err
	}
	o.Summary = fmt.Sprintf("%d locks released", bytes.Count(said, []byte("backout: released ")))
	return o, nil
}

// Preflight implements [backout.Preflighter].
func (Release) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	found := Hold{}.Preflight(ctx, t, h)
	for i := range found {
		found[i].Check = "package.release"
	}
	return found
}

// Sudo implements [backout.Privileged].
func (Release) Sudo() []string { return Hold{}.Sudo() }
