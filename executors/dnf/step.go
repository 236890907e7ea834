package dnf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
)

// Prepare implements [backout.Preparer]: what the patch will replace is listed, and
// kept unless stash is false. A copy counts only when its header has the digest of
// the header that is installed.
func (u Undo) Prepare(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Prepared, error) {
	t.Delta, t.Prepared = nil, nil
	_, f, err := u.run(ctx, "prepare", t, h, out)
	if err == nil && !digestHex.MatchString(f.manifest) {
		err = errors.New("what was kept on the target is not told")
	}
	if err != nil {
		return backout.Prepared{}, err
	}
	folder, err := u.folder(t)
	return backout.Prepared{Uses: Name, Facts: map[string]string{factManifest: f.manifest, factPackages: f.count, factFolder: folder}}, err
}

// Execute implements [backout.Executor].
func (u Undo) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if t.Delta == nil {
		return backout.Outcome{}, backout.Permanent(errNoDelta)
	}
	t.Delta = packages.Clean(t.Delta)
	var all []string
	for _, c := range t.Delta.Packages {
		all = append(all, c.Name)
	}
	if kernels, others := sortOut(all, u.config.Protect); !u.config.AllowProtected && kernels+others != "" {
		return backout.Outcome{}, backout.Permanent(fmt.Errorf("the patch replaced %s, which is not taken back in a running system: use level L2",
			strings.Trim(kernels+", "+others, ", ")))
	}
	outcome, f, err := u.run(ctx, "undo", t, h, out)
	if err != nil {
		return outcome, err
	}
	now, err := u.look(ctx, t, h)
	if err != nil {
		return outcome, err
	}
	outcome.Held = packages.Ours(f.locks)
	outcome.Summary = summary(t, f)
	fmt.Fprintln(out, outcome.Summary)
	if p := u.probed(t, now); p.State != backout.ProbeDone {
		return outcome, fmt.Errorf("dnf ended well, but %s", p.Detail)
	}
	return outcome, nil
}

// summary says what people must know of an undo that went well.
func summary(t backout.Task, f facts) string {
	in := packages.Undo(t.Delta.Packages)
	text := fmt.Sprintf("%d packages back to their old versions", len(in.Back))
	if n := len(in.Install); n > 0 {
		text += fmt.Sprintf(", %d installed again", n)
	}
	if n := len(in.Remove); n > 0 {
		text += fmt.Sprintf(", %d removed", n)
	}
	if held := packages.Ours(f.locks); len(held) > 0 {
		text += fmt.Sprintf("; %d bad versions locked", len(held))
	}
	switch f.reboot {
	case "yes":
		text += "; a reboot is needed"
	case "unknown":
		text += "; whether a reboot is needed is not known (needs-restarting is missing)"
	}
	if len(f.beside) > 0 {
		text += "; edited configuration stays, look at " + strings.Join(f.beside[:min(5, len(f.beside))], ", ")
	}
	return text
}

// look runs the script's look at the delta's packages.
func (u Undo) look(ctx context.Context, t backout.Task, h backout.Host) (facts, error) {
	e, err := u.exec("now", t)
	if err != nil {
		return facts{}, backout.Permanent(err)
	}
	r, err := h.Run(ctx, e)
	if err != nil {
		return facts{}, fmt.Errorf("look at the packages: %w", err)
	}
	f, err := parse(r.Stdout)
	if err != nil || r.ExitCode != 0 {
		return f, fmt.Errorf("look at the packages: %s", reasonOf(f, r, err))
	}
	return f, nil
}

// Probe implements [backout.Prober]: the versions decide, and the locks.
func (u Undo) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	if t.Delta == nil {
		return backout.Probed{State: backout.ProbeUnknown, Detail: errNoDelta.Error()}, nil
	}
	t.Delta = packages.Clean(t.Delta)
	report, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{}, fmt.Errorf("look at the attempt: %w", err)
	}
	if report.State == backout.AttemptRunning {
		return backout.Probed{State: backout.ProbeInProgress, Detail: "dnf is at work"}, nil
	}
	now, err := u.look(ctx, t, h)
	if err != nil {
		return backout.Probed{}, err
	}
	return u.probed(t, now), nil
}

// probed compares the versions that are there with those of the delta.
func (u Undo) probed(t backout.Task, f facts) backout.Probed {
	there := map[[2]string][]string{}
	for _, p := range f.now {
		there[[2]string{p.name, p.arch}] = append(there[[2]string{p.name, p.arch}], p.evr)
	}
	var back, patched int
	var odd []string
	for _, c := range t.Delta.Packages {
		versions := there[[2]string{c.Name, c.Arch}]
		from, to := slices.Contains(versions, c.From), slices.Contains(versions, c.To)
		twice := len(versions) > 1 && c.From != "" && c.To != "" && !packages.Kernel(packages.RPM, c.Name)
		switch {
		case from == (c.From != "") && !to && !twice:
			back++
		case to == (c.To != "") && !from && !twice:
			patched++
			odd = append(odd, fmt.Sprintf("%s.%s is as patched", c.Name, c.Arch))
		case len(versions) == 0:
			odd = append(odd, fmt.Sprintf("%s.%s is not installed", c.Name, c.Arch))
		default:
			odd = append(odd, fmt.Sprintf("%s.%s is %s", c.Name, c.Arch, strings.Join(versions, " and ")))
		}
	}
	odd = odd[:min(5, len(odd))]
	switch {
	case back == len(t.Delta.Packages):
		if free := packages.Free(f.locks); len(free) > 0 || slices.Contains(f.missing, "locks") {
			return backout.Probed{State: backout.ProbeBroken, Detail: "the packages are back, but the bad versions are not locked: " + strings.Join(free, ", ")}
		}
		return backout.Probed{State: backout.ProbeDone, Detail: fmt.Sprintf("all %d packages are as they were", back), Held: packages.Ours(f.locks)}
	case patched == len(t.Delta.Packages):
		return backout.Probed{State: backout.ProbeNotDone, Detail: fmt.Sprintf("all %d packages are as patched", patched)}
	}
	return backout.Probed{State: backout.ProbeBroken, Detail: fmt.Sprintf("%d of %d packages are back: %s", back, len(t.Delta.Packages), strings.Join(odd, "; "))}
}

// Cleanup implements [backout.Cleaner]: the kept packages go.
func (u Undo) Cleanup(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	t.Delta, t.Prepared = nil, nil
	_, _, err := u.run(ctx, "cleanup", t, h, out)
	return err
}

// Release implements [backout.Holder].
func (Undo) Release(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	if !changeID.MatchString(t.ChangeID) {
		return backout.Permanent(fmt.Errorf("change %q cannot name a record", t.ChangeID))
	}
	var said bytes.Buffer
	_, err := executors.Attempt(ctx, t, h, packages.Hold(packages.HoldRelease, packages.FrontDNF, t.ChangeID, nil), io.MultiWriter(out, &said))
	return packages.Explain(err, said.Bytes())
}
