package apt

import (
	"context"
	"fmt"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/packages"
)

// Probe implements [backout.Prober]: the exact versions decide, whole, and held.
func (u Undo) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	changes, err := u.changes(t)
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown, Detail: err.Error()}, nil
	}
	report, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{}, err
	}
	if report.State == backout.AttemptRunning {
		return backout.Probed{State: backout.ProbeInProgress, Detail: "apt is at work"}, nil
	}
	p, err := u.probe(ctx, t, h, changes)
	if err != nil {
		return backout.Probed{}, err
	}
	state, detail := p.judge()
	return backout.Probed{State: state, Detail: detail, Held: p.held}, nil
}

// probed is how far the packages are.
type probed struct {
	// right are at their old versions, wrong are not, half are not installed whole.
	right, wrong, half []string
	// left were added by the patch and are still there; needs are what needs them.
	left, needs []string
	// free should be held and are not.
	held, free []string
	notes      []string
}

func (u Undo) probe(ctx context.Context, t backout.Task, h backout.Host, changes []backout.PackageChange) (probed, error) {
	var p probed
	if len(changes) == 0 {
		return p, nil
	}
	holds := u.holdWords(changes)
	args := append([]string{packages.HoldScript(), t.ChangeID, fmt.Sprint(len(holds) / 3)}, holds...)
	s, err := ask(ctx, h, script(probeText, append(args, items(changes, nil)...)...))
	if err != nil {
		return p, err
	}
	if len(s["missing"]) > 0 {
		return p, fmt.Errorf("%s is not there", some(s["missing"]))
	}
	now, err := s.packages()
	if err != nil {
		return p, err
	}
	p.sort(now, changes)
	p.needs = s["needs"]
	locks, err := packages.ParseLocks([]byte(strings.Join(s["hold"], "\n")), len(holds)/3)
	if err != nil {
		return p, fmt.Errorf("apt-mark of %q: %w", clip(s.first("apt")), err)
	}
	p.held, p.free = packages.Ours(locks), packages.Free(locks)
	p.note(s)
	return p, nil
}

// sort tells the packages apart by what dpkg has of them.
func (p *probed) sort(now []installed, changes []backout.PackageChange) {
	byName := map[string]installed{}
	for _, i := range now {
		byName[i.name+" "+i.arch] = i
	}
	for _, c := range changes {
		i := byName[c.Name+" "+c.Arch]
		switch {
		case i.there() && !i.whole():
			p.half = append(p.half, c.Name+" ("+i.state+")")
		case c.From == "" && i.there():
			p.left = append(p.left, c.Name)
		case c.From != i.version && (c.From != "" || i.there()), c.From != "" && !i.there():
			p.wrong = append(p.wrong, c.Name)
		default:
			p.right = append(p.right, c.Name)
		}
	}
}

// judge says how far it is.
func (p probed) judge() (backout.ProbeState, string) {
	left := p.left
	if len(p.needs) > 0 {
		left = nil
	}
	switch {
	case len(p.half) > 0:
		return backout.ProbeBroken, "dpkg has not installed whole: " + some(p.half)
	case len(p.wrong)+len(left) > 0 && len(p.right) == 0:
		return backout.ProbeNotDone, "still as patched: " + some(append(p.wrong, left...))
	case len(p.wrong)+len(left) > 0:
		return backout.ProbeBroken, "only some packages are back, not " + some(append(p.wrong, left...))
	case len(p.free) > 0:
		return backout.ProbeBroken, "the packages are back, but not held: " + some(p.free)
	}
	return backout.ProbeDone, fmt.Sprintf("%d packages are as they were", len(p.right))
}

// note keeps what people should know beside it.
func (p *probed) note(s said) {
	if len(p.left) > 0 && len(p.needs) > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%s stays, for %s needs it", some(p.left), some(p.needs)))
	}
	if reboot, ok := s["reboot"]; ok {
		p.notes = append(p.notes, strings.TrimSpace("the target asks for a reboot "+clip(reboot[0])))
	}
	if services := s["restart"]; len(services) > 0 {
		p.notes = append(p.notes, "to be restarted: "+some(services))
	}
	if updaters := s["updater"]; len(updaters) > 0 {
		p.notes = append(p.notes, some(updaters)+" is active")
	}
}

func (p probed) summary(n int) string {
	text := fmt.Sprintf("%d of %d packages are as they were", len(p.right), n)
	if len(p.held) > 0 {
		text += ", held: " + some(p.held)
	}
	for _, note := range p.notes {
		text += "; " + note
	}
	return text
}
