package zypper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
)

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// stash returns where this step keeps packages, and the digest of their list if it
// has kept any.
func (u Undo) stash(t backout.Task) (folder, sums string, err error) {
	if folder, err = executors.Stash(t.ChangeID, "zypper", u.config.Packages...); err != nil {
		return "", "", backout.Permanent(err)
	}
	if sums = executors.Kept(t, undoKind, folder)["sums"]; !digest.MatchString(sums) {
		sums = ""
	}
	return folder, sums, nil
}

// Prepare implements [backout.Preparer]: it keeps the packages that an update would
// replace now.
func (u Undo) Prepare(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Prepared, error) {
	folder, _, err := u.stash(t)
	if err != nil || !u.config.stash() {
		return backout.Prepared{}, err
	}
	if _, err := attempt(ctx, t, h, script(prepareText, append([]string{folder}, u.config.Packages...)...), out); err != nil {
		return backout.Prepared{}, fmt.Errorf("keep the old packages: %w", err)
	}
	r, err := h.Run(ctx, backout.Exec{Argv: []string{"sh", "-c", `sha256sum <"$1/SHA256SUMS" && wc -l <"$1/SHA256SUMS"`, "sh", folder}})
	if err != nil {
		return backout.Prepared{}, err
	}
	f := strings.Fields(string(r.Stdout))
	if r.ExitCode != 0 || len(f) != 3 || !digest.MatchString(f[0]) {
		return backout.Prepared{}, fmt.Errorf("the list of kept packages cannot be read: %s", r.Stderr)
	}
	return backout.Prepared{Uses: undoKind, Facts: map[string]string{"folder": folder, "sums": f[0], "packages": f[2]}}, nil
}

// Execute implements [backout.Executor].
func (u Undo) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	changes, err := changesOf(t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	folder, sums, err := u.stash(t)
	if err != nil {
		return backout.Outcome{}, err
	}
	rest, err := u.begin(ctx, t, h, changes)
	if err != nil {
		return backout.Outcome{}, err
	}
	args := slices.Concat([]string{packages.HoldScript(), folder, sums, strconv.Itoa(count(rest))}, wanted(rest))
	locks := 0
	if bad := packages.Bad(changes); u.config.hold() && len(bad) > 0 {
		args = append(args, packages.HoldArgs(packages.HoldPlace, packages.FrontZypper, t.ChangeID, bad)...)
		locks = packages.HoldCount(packages.FrontZypper, bad)
	}
	var said locksOf
	outcome, err := attempt(ctx, t, h, script(undoText, args...), io.MultiWriter(out, &said))
	if err != nil {
		return outcome, err
	}
	placed, err := packages.ParseLocks(said.kept.Bytes(), locks)
	if err != nil {
		return outcome, err
	}
	outcome.Held = packages.Ours(placed)
	return u.verified(ctx, h, changes, outcome)
}

// begin works out what is left to do, and refuses to start it where a dry run does
// not say exactly that.
func (u Undo) begin(ctx context.Context, t backout.Task, h backout.Host, changes []backout.PackageChange) (packages.Inverse, error) {
	have, err := installedNow(ctx, h)
	if err != nil {
		return packages.Inverse{}, err
	}
	rest := have.rest(changes)
	r, err := h.Probe(ctx, t.AttemptID)
	if err != nil || r.State != backout.AttemptNotStarted || count(rest) == 0 {
		return rest, err
	}
	left := t
	delta := *t.Delta
	delta.Packages = slices.Concat(rest.Back, rest.Install, rest.Remove)
	left.Delta = &delta
	for _, v := range u.Preflight(ctx, left, h) {
		// What is only a danger to what is to come does not stop what would succeed now.
		if v.Check != checkStash && v.Check != checkRepositories {
			return rest, errors.New(v.Reason)
		}
	}
	return rest, nil
}

// verified lets rpm say whether it is done: zypper's exit code is not enough.
func (u Undo) verified(ctx context.Context, h backout.Host, changes []backout.PackageChange, o backout.Outcome) (backout.Outcome, error) {
	have, err := installedNow(ctx, h)
	if err != nil {
		return o, err
	}
	if rest := have.rest(changes); count(rest) > 0 {
		return o, fmt.Errorf("zypper ended with code %d, but not taken back are %s", o.ExitCode, names(rest))
	}
	in := packages.Undo(changes)
	o.Summary = fmt.Sprintf("%d packages back, %d removed, %d installed again", len(in.Back), len(in.Remove), len(in.Install))
	switch o.ExitCode {
	case 102:
		o.Summary += ", a reboot is needed"
	case 107:
		o.Summary += ", the script of a package failed"
	}
	o.ExitCode = 0
	return o, nil
}

func names(in packages.Inverse) string {
	var all []string
	for _, c := range slices.Concat(in.Back, in.Install, in.Remove) {
		all = append(all, c.Name)
	}
	return some(all)
}

// Probe implements [backout.Prober].
func (u Undo) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	changes, err := changesOf(t)
	if err != nil {
		return backout.Probed{}, err
	}
	r, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{}, err
	}
	if r.State == backout.AttemptRunning {
		return backout.Probed{State: backout.ProbeInProgress, Detail: "the attempt is running"}, nil
	}
	have, err := installedNow(ctx, h)
	if err != nil {
		return backout.Probed{}, err
	}
	rest := have.rest(changes)
	switch {
	case count(rest) == 0:
		return u.probeLocks(ctx, t, h, changes)
	case count(rest) == count(packages.Undo(changes)):
		return backout.Probed{State: backout.ProbeNotDone, Detail: "not taken back: " + names(rest)}, nil
	}
	return backout.Probed{State: backout.ProbeBroken, Detail: "half taken back, left are " + names(rest)}, nil
}

// probeLocks tells whether the last part of the work is done too.
func (u Undo) probeLocks(ctx context.Context, t backout.Task, h backout.Host, changes []backout.PackageChange) (backout.Probed, error) {
	done := backout.Probed{State: backout.ProbeDone, Detail: "all packages are back"}
	if !u.config.hold() {
		return done, nil
	}
	r, err := h.Run(ctx, packages.Hold(packages.HoldLook, packages.FrontZypper, t.ChangeID, changes))
	if err == nil && r.ExitCode != 0 {
		err = fmt.Errorf("zypper locks: exit code %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	if err != nil {
		return backout.Probed{}, err
	}
	locks, err := packages.ParseLocks(r.Stdout, packages.HoldCount(packages.FrontZypper, changes))
	if free := packages.Free(locks); err == nil && len(free) > 0 {
		return backout.Probed{State: backout.ProbeBroken, Detail: "all packages are back, not locked are " + some(free)}, nil
	}
	done.Held = packages.Ours(locks)
	return done, err
}

// Release implements [backout.Holder].
func (u Undo) Release(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	if _, _, err := u.stash(t); err != nil {
		return err
	}
	_, err := attempt(ctx, t, h, packages.Hold(packages.HoldRelease, packages.FrontZypper, t.ChangeID, nil), out)
	return err
}

// Cleanup implements [backout.Cleaner].
func (u Undo) Cleanup(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	folder, _, err := u.stash(t)
	if err != nil || !u.config.stash() {
		return err
	}
	_, err = attempt(ctx, t, h, script(`rm -rf -- "$1" "$1.new" && { rmdir -- "${1%/*}" 2>/dev/null || :; }`, folder), out)
	return err
}

// Sudo implements [backout.Privileged].
func (u Undo) Sudo() []string {
	return []string{"/usr/bin/zypper", "/usr/bin/rpm", "/usr/bin/sh", "/bin/sh"}
}
