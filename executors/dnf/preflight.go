package dnf

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/packages"
)

// Preflight implements [backout.Preflighter].
func (u Undo) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	t.Delta = packages.Clean(t.Delta)
	j := judge{task: t, config: u.config}
	verb := "ready"
	if t.Delta != nil {
		verb = "solve"
	}
	var e backout.Exec
	folder, err := u.folder(t)
	if err == nil {
		j.folder = folder
		e, err = u.exec(verb, t)
	}
	if err != nil {
		j.no(err.Error(), "correct the change's patch ids, or capture the baseline again")
		return j.found
	}
	r, err := h.Run(ctx, e)
	if err != nil {
		j.no(err.Error(), "make the target reachable")
		return j.found
	}
	f, err := parse(r.Stdout)
	switch {
	case f.tool == "none":
		j.no("neither dnf, dnf5 nor yum is on the target", "use apt.undo or zypper.undo for this target, or install dnf")
		return j.found
	case err != nil || r.ExitCode != 0:
		j.no(fmt.Sprintf("the target's packages cannot be looked at: %s", reasonOf(f, r, err)), "run dnf on the target and correct what it says")
		return j.found
	}
	j.facts = f
	j.tools()
	j.protected()
	if t.Delta == nil {
		j.ready()
	} else {
		j.solve()
	}
	return j.found
}

func reasonOf(f facts, r backout.ExecResult, err error) string {
	if f.reason != "" {
		return f.reason + f.why()
	}
	text := printable(strings.TrimSpace(string(r.Stderr)))
	if err == nil {
		return fmt.Sprintf("exit code %d: %s", r.ExitCode, text)
	}
	if text == "" {
		return err.Error()
	}
	return fmt.Sprintf("%v: %s", err, text)
}

// judge makes violations of facts.
type judge struct {
	facts

	task   backout.Task
	config Config
	folder string // where this step keeps packages
	found  []backout.Violation
}

func (j *judge) no(reason, fix string) {
	j.found = append(j.found, backout.Violation{Check: Name, Target: j.task.Target.Name, Level: j.task.Level, Reason: reason, Fix: fix})
}

// The package that brings what is missing, by tool.
var brings = map[string]map[string]string{
	"download":  {"dnf": "dnf-plugins-core", "dnf5": "dnf5-plugins", "yum": "yum-utils"},
	"repoquery": {"yum": "yum-utils"},
	"locks":     {"dnf": "python3-dnf-plugin-versionlock (of Debian: dnf-plugins-core)", "dnf5": "dnf5", "yum": "yum-plugin-versionlock"},
}

// tools judges what the target needs in any case.
func (j *judge) tools() {
	if j.user != "" {
		j.no(fmt.Sprintf("only root can change packages, and the target is reached as %s", j.user), "connect as root, or let the connection use sudo")
	}
	if j.historyUnreadable {
		j.no(fmt.Sprintf("the history of %s cannot be read%s", j.front(), j.why()), "repair it: dnf history list must work")
	}
	for _, m := range j.missing {
		switch m {
		case "download":
			j.no(fmt.Sprintf("%s cannot download packages, so the old ones cannot be kept", j.front()), "install "+brings[m][j.tool]+", or set stash: false")
		case "repoquery":
			j.no("repoquery is missing, so nobody knows what the repositories have", "install "+brings[m][j.tool])
		case "do":
			j.no(fmt.Sprintf("%s cannot do several things as one transaction (it has no command \"do\")", j.front()), "update dnf5, or leave this target to level L2")
		case "locks":
			j.no(fmt.Sprintf("nothing would keep the patch from coming back: %s has no locks that work%s", j.front(), j.why()), "install "+brings[m][j.tool]+", or set hold: false")
		}
	}
}

// protected judges the names: those that the patch has changed, or will.
func (j *judge) protected() {
	if j.config.AllowProtected {
		return
	}
	var all []string
	if j.task.Delta != nil {
		for _, c := range j.task.Delta.Packages {
			all = append(all, c.Name)
		}
	} else {
		for _, p := range append(j.replaced, j.listed...) {
			all = append(all, p.name)
		}
	}
	kernels, others := sortOut(all, j.config.Protect)
	if kernels != "" {
		j.no(fmt.Sprintf("the patch replaces the kernel (%s): the way back is to boot the old one, not an older package", kernels),
			"leave this target to level L2 (a snapshot, or a boot choice and a reboot), keep kernels out of the patch, or set allow_protected: true")
	}
	if others != "" {
		j.no(fmt.Sprintf("the patch replaces %s: vendors do not support taking that back in a running system", others),
			"leave this target to level L2, keep it out of the patch, or set allow_protected: true")
	}
}

// sortOut returns the kernels and the protected ones of the names.
func sortOut(all, protect []string) (kernels, others string) {
	var k, o []string
	seen := map[string]bool{}
	for _, name := range all {
		switch {
		case seen[name]:
		case packages.Kernel(packages.RPM, name):
			k = append(k, name)
		case packages.Protected(packages.RPM, name, protect):
			o = append(o, name)
		}
		seen[name] = true
	}
	slices.Sort(k)
	slices.Sort(o)
	return strings.Join(k, ", "), strings.Join(o, ", ")
}

// ready judges before the patch: whatever it will replace must be there to come
// back.
func (j *judge) ready() {
	const fresh = "refresh the target's repositories, or name the packages: packages: [...]"
	if len(j.unsolved) > 0 {
		j.no(fmt.Sprintf("%s cannot say what the patch will do%s", j.front(), j.why()), "correct what it says; "+fresh)
		return
	}
	if executors.Kept(j.task, Name, j.folder) != nil {
		j.prepared()
		return
	}
	switch {
	case j.nothing == "pending":
		j.no("the target's repositories have nothing of the patch, so nobody knows which packages to keep", fresh)
	case len(j.replaced) == 0 && len(j.config.Packages) > 0:
		j.no(fmt.Sprintf("no installed package is called %s", strings.Join(j.config.Packages, " or ")), "correct packages of the step")
	}
	have := [][]pkg{j.offered}
	fix := "enable a repository that still has them, or use level L2"
	if j.config.stash() {
		have = append(have, j.cached)
	} else {
		fix = "set stash: true while they can still be had, " + fix
	}
	if gone := without(j.replaced, have...); len(gone) > 0 {
		j.no(fmt.Sprintf("what is installed now could not come back: no enabled repository has %s", names(gone)), fix)
	}
}

// prepared judges what was kept, as long as it is not known what the patch did.
func (j *judge) prepared() {
	j.whole()
	if j.config.stash() {
		if gone := without(j.listed, j.kept); len(gone) > 0 && len(j.broken) == 0 {
			j.no(fmt.Sprintf("%s was not kept", names(gone)), "capture the baseline again before the patch")
		}
		return
	}
	if gone := without(j.listed, j.offered); len(gone) > 0 {
		j.no(fmt.Sprintf("what was installed could not come back: no enabled repository has %s any more", names(gone)), "enable a repository that has them, or use level L2")
	}
}

// whole judges the folder of kept packages.
func (j *judge) whole() {
	if len(j.broken) > 0 {
		j.no(fmt.Sprintf("the packages kept in %s are not what was put there: %s", j.folder, strings.Join(j.broken, ", ")),
			"before the patch: capture the baseline again; after it: put the files back, or use level L2")
	}
}

// solve judges after the patch: the inverse transaction was tried.
func (j *judge) solve() {
	j.whole()
	var gone, removed, others []pkg
	for _, m := range j.lacking {
		gone = append(gone, m.pkg)
	}
	for _, m := range j.extra {
		if m.way == "out" {
			removed = append(removed, m.pkg)
		} else {
			others = append(others, m.pkg)
		}
	}
	if len(gone) > 0 {
		j.no(fmt.Sprintf("%s cannot be had, or cannot be installed or removed%s", names(gone), j.why()), "enable a repository that has it, or use level L2")
	}
	if len(removed) > 0 {
		j.no(fmt.Sprintf("to undo the patch would also remove %s, which needs what the patch brought", names(removed)), "remove it yourself if it may go, or use level L2")
	}
	if len(others) > 0 {
		j.no(fmt.Sprintf("to undo the patch would also change %s", names(others)), "find out what needs it, or use level L2")
	}
	if len(j.found) == 0 && j.nothing == "" && !j.solved {
		j.no(fmt.Sprintf("the transaction that undoes the patch was tested, and %s says no%s", j.front(), j.why()), "correct what it says, or use level L2")
	}
}
