package apt

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/packages"
)

// no is one violation.
func no(check, reason, fix string) []backout.Violation {
	return []backout.Violation{{Check: check, Reason: reason, Fix: fix}}
}

// Preflight implements [backout.Preflighter]. Before the patch it asks whether the
// version of each package that is to be patched can be had, afterwards whether apt
// would bring exactly those of the delta back.
func (u Undo) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	facts := u.prepared(t)
	switch {
	case t.Delta != nil:
		return u.tryUndo(ctx, t, h, keptBy(facts))
	case facts != nil:
		return u.stillKept(ctx, t, h, keptBy(facts))
	}
	look, err := u.lookBefore(ctx, t, h)
	if err != nil {
		return no("apt", err.Error(), "the target must run Debian or Ubuntu and be reachable")
	}
	return look.judge(u)
}

// before is what the target says before the patch.
type before struct {
	said
	// patched are the packages that would be changed, as they are now; added are
	// new with the patch.
	patched []installed
	added   []string
	// index has what repositories offer of the versions that are installed; cached
	// and kept what lies on the target.
	index, cached, kept map[string]offer
}

// offer is a file that can be had.
type offer struct {
	size int64
	sum  string
}

var patchID = regexp.MustCompile(`^([a-z0-9][a-z0-9+.-]+)(:[a-z0-9-]+)?(=[A-Za-z0-9.+~:-]+)?$`)

// lookBefore asks the target what is to be patched and what there is of it.
func (u Undo) lookBefore(ctx context.Context, t backout.Task, h backout.Host) (before, error) {
	b := before{index: map[string]offer{}, cached: map[string]offer{}, kept: map[string]offer{}}
	dir, err := u.folder(t.ChangeID)
	if err != nil {
		return b, err
	}
	args := append([]string{dir, strconv.Itoa(len(u.c.Packages))}, u.c.Packages...)
	if t.Patch.Kind == "packages" {
		for _, id := range t.Patch.IDs {
			if !patchID.MatchString(id) {
				return b, fmt.Errorf("the patch's id %q is not a package of apt: name or name=version", clip(id))
			}
			args = append(args, id)
		}
	}
	if b.said, err = ask(ctx, h, script(gateText, args...)); err != nil {
		return b, err
	}
	all, err := b.packages()
	if err != nil {
		return b, err
	}
	for _, p := range all {
		if packages.Matches(u.c.Packages, p.name) {
			b.patched = append(b.patched, p)
		}
	}
	for _, name := range b.said["added"] {
		if packages.Matches(u.c.Packages, name) {
			b.added = append(b.added, name)
		}
	}
	return b, b.readOffers()
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (b before) readOffers() error {
	for word, into := range map[string]map[string]offer{"index": b.index, "cached": b.cached, "kept": b.kept} {
		for _, line := range b.said[word] {
			f := strings.Fields(line)
			if len(f) < 4 {
				return b.unreadable("apt-cache", line)
			}
			o := offer{}
			o.size, _ = strconv.ParseInt(f[3], 10, 64)
			if word == "index" {
				if len(f) != 5 {
					return b.unreadable("apt-cache", line)
				}
				if digest.MatchString(f[4]) {
					o.sum = f[4]
				}
			}
			into[mark(f[0], f[1], f[2])] = o
		}
	}
	return nil
}

// judge says what of it keeps the way back from being there.
func (b before) judge(u Undo) []backout.Violation {
	if v := b.state(false); len(v) > 0 {
		return v
	}
	switch {
	case b.first("lists") == "0":
		return no("apt", "the target has no package lists, so apt does not know what is to be patched", "run apt-get update on the target")
	case b.first("sim-rc") != "0":
		return no("apt", "apt does not say what the patch would change: "+some(b.said["sim"]), "run apt-get update, and correct the patch's ids: package or package=version")
	case len(b.patched) == 0 && len(b.added) == 0:
		return no("apt", "no upgrade is pending, so nobody knows what the patch will change", "run apt-get update before the gate, or name the packages in the patch's ids or the step")
	}
	return slices.Concat(u.protection(b.patched, b.added), b.obtainable(u))
}

// state judges what must be right whatever the packages. What a patch has left half
// installed is mended by the way back, and the solver says whether it can be.
func (s said) state(mended bool) []backout.Violation {
	var v []backout.Violation
	for _, tool := range s["missing"] {
		v = append(v, no("tools", tool+" is not there", "install "+packageOf(tool))...)
	}
	if len(v) > 0 {
		return v
	}
	if s.first("user") != "0" {
		v = append(v, no("user", "packages can be changed by root only", "connect as root, or set sudo for the target's transport")...)
	}
	pid, age, name := locked(s.first("lock"))
	switch {
	case age > patience:
		v = append(v, no("apt", fmt.Sprintf("%s (process %s) has held the lock of dpkg for %d minutes", name, pid, age/60), "let it end, or end it and run dpkg --configure -a")...)
	case pid == "" && !mended && (s.first("audit-rc") != "0" || len(s["audit"]) > 0):
		v = append(v, no("dpkg", "dpkg has packages that are not installed whole: "+some(s["audit"]), "run dpkg --configure -a and apt-get -f install")...)
	}
	return v
}

// patience is how many seconds somebody may hold the lock of dpkg: an upgrade does,
// what waits for an answer does for ever.
const patience = 30 * 60

func locked(line string) (pid string, age int, name string) {
	f := strings.Fields(line)
	if len(f) < 2 {
		return "", 0, ""
	}
	age, _ = strconv.Atoi(f[1])
	return f[0], age, clip(strings.Join(f[2:], " "))
}

func packageOf(tool string) string {
	switch tool {
	case "awk":
		return "mawk"
	case "sed":
		return "sed"
	case "df", "sha256sum":
		return "coreutils"
	case "dpkg", "dpkg-query", "dpkg-deb":
		return "dpkg: the target must be a Debian or Ubuntu"
	}
	return "apt: the target must be a Debian or Ubuntu"
}

// protection refuses what the running system stands on.
func (u Undo) protection(changed []installed, added []string) []backout.Violation {
	if u.c.AllowProtected {
		return nil
	}
	var base, kernels []string
	for _, p := range changed {
		if p.essential || packages.Protected(packages.DPKG, p.name, nil) {
			base = append(base, p.name)
		}
		added = append(slices.Clone(added), p.name)
	}
	for _, name := range added {
		if packages.Kernel(packages.DPKG, name) {
			kernels = append(kernels, name)
		}
	}
	var v []backout.Violation
	if len(base) > 0 {
		v = append(v, no("protected", "the running system stands on "+some(base)+": taking it back can leave a target that does not boot",
			"go back by a snapshot, limit the step with packages, or set allow_protected: true")...)
	}
	if len(kernels) > 0 {
		v = append(v, no("protected", "kernels stand beside each other, so the way back from "+some(kernels)+" is to boot the old one",
			"boot the old kernel in a step of its own, limit this step with packages, or set allow_protected: true")...)
	}
	return v
}

// obtainable asks where each version can be had, and whether it fits.
func (b before) obtainable(u Undo) []backout.Violation {
	var gone, fleeting []string
	var need int64
	for _, p := range b.patched {
		id := mark(p.name, p.arch, p.version)
		o, indexed := b.index[id]
		c, cached := b.cached[id]
		_, kept := b.kept[id]
		packed := b.first("repack") != ""
		switch {
		case !u.stash() && indexed:
		case !u.stash() && (cached || kept || packed):
			fleeting = append(fleeting, p.name+" "+p.version)
		case !u.stash():
			gone = append(gone, p.name+" "+p.version)
		case kept:
		case indexed:
			need += o.size
		case cached:
			need += c.size
		case packed:
			need += p.kib << 10
		default:
			gone = append(gone, p.name+" "+p.version)
		}
	}
	var v []backout.Violation
	if len(gone) > 0 {
		v = append(v, no("versions", "no repository of the target has "+some(gone)+" any more, nor has apt's cache",
			"bring the version back into a repository (a mirror of your own, snapshot.debian.org), or install dpkg-repack so that stash: true can pack what is installed")...)
	}
	if len(fleeting) > 0 {
		v = append(v, no("versions", "no repository of the target has "+some(fleeting)+" any more, and without a stash it is not kept",
			"set stash: true: it takes the version while it is still there")...)
	}
	room, err := strconv.ParseInt(b.first("room"), 10, 64)
	const spare = 64 << 20
	if u.stash() && (err != nil || room<<10 < need+need/10+spare) {
		v = append(v, no("space", fmt.Sprintf("the old packages need %d MiB in /var/lib/backout, %d MiB are free there", (need+spare)>>20, room>>10),
			"make room in /var/lib/backout")...)
	}
	return v
}

// stillKept asks whether what was prepared is still there, whole.
func (u Undo) stillKept(ctx context.Context, t backout.Task, h backout.Host, kept map[string]keptFile) []backout.Violation {
	dir, err := u.folder(t.ChangeID)
	args := []string{dir}
	for _, k := range kept {
		args = append(args, k.name, k.arch, k.version, k.sum)
	}
	var s said
	if err == nil {
		s, err = ask(ctx, h, script(keptText, args...))
	}
	if err != nil {
		return no("apt", err.Error(), "the target must be reachable")
	}
	return append(s.state(false), s.missed()...)
}

// missed tells of versions that cannot be had.
func (s said) missed() []backout.Violation {
	var v []backout.Violation
	if spoilt := s["spoilt"]; len(spoilt) > 0 {
		v = append(v, no("stash", "the kept file is not the one that was kept: "+some(spoilt), "find out who changes /var/lib/backout/stash; capture the baseline again before the patch")...)
	}
	if gone := s["gone"]; len(gone) > 0 {
		v = append(v, no("versions", "neither kept nor in a repository: "+some(gone), "bring the version back into a repository of the target")...)
	}
	return v
}
