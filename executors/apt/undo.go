package apt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
	"github.com/backout-io/backout/internal/tail"
)

// tryUndo lets apt solve the inverse of the delta without doing it.
func (u Undo) tryUndo(ctx context.Context, t backout.Task, h backout.Host, kept map[string]keptFile) []backout.Violation {
	changes, err := u.changes(t)
	var dir string
	if err == nil {
		dir, err = u.folder(t.ChangeID)
	}
	if err != nil {
		return no("delta", err.Error(), "capture what the patch has changed again")
	}
	if len(changes) == 0 {
		return nil
	}
	s, err := ask(ctx, h, script(tryText, append([]string{dir}, items(changes, kept)...)...))
	if err != nil {
		return no("apt", err.Error(), "the target must be reachable")
	}
	now, err := s.packages()
	if err != nil {
		return no("apt", err.Error(), "")
	}
	v := append(s.state(true), u.protection(matching(now, changes), nil)...)
	v = append(v, runningKernel(s.first("kernel"), changes)...)
	v = append(v, s.missed()...)
	if len(s["missing"]) > 0 || len(s["gone"]) > 0 {
		return v
	}
	if rc := s.first("sim-rc"); rc != "0" && rc != "" {
		v = append(v, no("solver", "apt cannot bring the old versions back: "+lastLines([]byte(strings.Join(s["sim"], "\n"))), "remove what stands against it, or go back by a snapshot")...)
	}
	if extra := s["extra"]; len(extra) > 0 {
		v = append(v, no("solver", "bringing the old versions back would also change "+some(extra), "undo that by hand first, limit the step with packages, or go back by a snapshot")...)
	}
	return v
}

// matching are the packages that the changes are about.
func matching(now []installed, changes []backout.PackageChange) (list []installed) {
	names := map[string]bool{}
	for _, c := range changes {
		names[c.Name] = true
	}
	for _, p := range now {
		if names[p.name] {
			list = append(list, p)
		}
	}
	return list
}

// runningKernel refuses to take away the kernel that runs.
func runningKernel(release string, changes []backout.PackageChange) []backout.Violation {
	for _, c := range changes {
		if release != "" && c.From == "" && packages.Kernel(packages.DPKG, c.Name) && strings.HasSuffix(c.Name, "-"+release) {
			return no("kernel", "the patch added "+c.Name+", and the target runs it", "boot the old kernel first")
		}
	}
	return nil
}

// Execute implements [backout.Executor]. What an earlier attempt has left half
// done is finished.
func (u Undo) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	changes, err := u.changes(t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	dir, err := u.folder(t.ChangeID)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	if len(changes) == 0 {
		return backout.Outcome{Summary: "the patch changed none of the packages"}, nil
	}
	holds := u.holdWords(changes)
	args := append([]string{dir, t.ChangeID, packages.HoldScript(), fmt.Sprint(len(holds) / 3)}, holds...)
	args = append(args, items(changes, keptBy(u.prepared(t)))...)
	outcome, err := run(ctx, t, h, script(executeText, args...), out)
	if err != nil {
		return outcome, err
	}
	p, err := u.probe(ctx, t, h, changes)
	if err != nil {
		return outcome, err
	}
	outcome.Held = p.held
	outcome.Summary = p.summary(len(changes))
	if state, detail := p.judge(); state != backout.ProbeDone {
		return outcome, fmt.Errorf("apt ended well, but %s", detail)
	}
	return outcome, nil
}

// run runs a script as the task's attempt; its failure says what it said last.
func run(ctx context.Context, t backout.Task, h backout.Host, e backout.Exec, out io.Writer) (backout.Outcome, error) {
	last := tail.Writer{Limit: 4 << 10}
	outcome, err := executors.Attempt(ctx, t, h, e, io.MultiWriter(out, &last))
	if err != nil && outcome.ExitCode != 0 {
		return outcome, fmt.Errorf("exit code %d: %s", outcome.ExitCode, lastLines(last.Bytes()))
	}
	return outcome, err
}

// Release implements [backout.Holder]. Holds that were there before stay.
func (u Undo) Release(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	if _, err := u.folder(t.ChangeID); err != nil {
		return backout.Permanent(err)
	}
	_, err := run(ctx, t, h, packages.Hold(packages.HoldRelease, packages.FrontAPT, t.ChangeID, nil), out)
	return err
}

// Cleanup implements [backout.Cleaner]: it removes the kept files.
func (u Undo) Cleanup(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	dir, err := u.folder(t.ChangeID)
	if err != nil {
		return backout.Permanent(err)
	}
	_, err = run(ctx, t, h, backout.Exec{Argv: []string{"sh", "-c", `rm -rf -- "$1" || exit; rmdir -- "${1%/*}" 2>/dev/null; exit 0`, "sh", dir}}, out)
	return err
}

// Prepare implements [backout.Preparer]: it keeps the files of the versions that
// are to be patched, with their digests.
func (u Undo) Prepare(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Prepared, error) {
	made := backout.Prepared{Uses: Name}
	dir, err := u.folder(t.ChangeID)
	if err != nil {
		return made, backout.Permanent(err)
	}
	made.Facts = map[string]string{"folder": dir, "stash": "none"}
	report, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return made, err
	}
	var words []string
	if report.State == backout.AttemptNotStarted {
		look, err := u.lookBefore(ctx, t, h)
		if err != nil {
			return made, err
		}
		if v := look.judge(u); len(v) > 0 {
			return made, errors.New(v[0].Reason + ": " + v[0].Fix)
		}
		if !u.stash() {
			for _, p := range look.patched {
				made.Facts[factPrefix+p.name+":"+p.arch] = p.version + " " + noSum + " 0 repository"
			}
			return made, nil
		}
		words = look.wanted(keptBy(u.prepared(t)))
	}
	if _, err := run(ctx, t, h, script(prepareText, append([]string{dir}, words...)...), out); err != nil {
		return made, err
	}
	made.Facts["stash"] = "kept"
	return made, readList(ctx, h, dir, made.Facts)
}

// wanted are the packages to be kept, each with the digest that its file must have
// where the index or an earlier baseline tells it.
func (b before) wanted(kept map[string]keptFile) []string {
	var list []string
	for _, p := range b.patched {
		id := mark(p.name, p.arch, p.version)
		sum := kept[id].sum
		if sum == "" {
			sum = b.index[id].sum
		}
		list = append(list, p.name, p.arch, p.version, sum)
	}
	return list
}

// readList reads what was kept.
func readList(ctx context.Context, h backout.Host, dir string, facts map[string]string) error {
	r, err := h.Run(ctx, backout.Exec{Argv: []string{"cat", "--", dir + "/list"}})
	if err != nil || r.ExitCode != 0 {
		return fmt.Errorf("read what was kept in %s: exit code %d, %w", dir, r.ExitCode, errors.Join(err, errors.New(lastLines(r.Stderr))))
	}
	for line := range strings.Lines(string(r.Stdout)) {
		f := strings.Fields(line)
		if len(f) != 7 || !digest.MatchString(f[3]) ||
			packages.Check(packages.DPKG, backout.PackageChange{Name: f[0], Arch: f[1], From: f[2]}) != nil {
			return fmt.Errorf("read what was kept in %s: cannot read %q", dir, clip(line))
		}
		facts[factPrefix+f[0]+":"+f[1]] = strings.Join([]string{f[2], f[3], f[4], f[5]}, " ")
	}
	return nil
}
