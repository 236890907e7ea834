package lvm

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

//go:embed merge.sh
var mergeScript string

// Merge is one configured lvm.merge.
type Merge struct{ config MergeConfig }

var (
	_ backout.Executor    = Merge{}
	_ backout.Preflighter = Merge{}
	_ backout.Prober      = Merge{}
	_ backout.Loser       = Merge{}
	_ backout.Privileged  = Merge{}
)

var errNoSet = errors.New("the baseline has no snapshots: the plan needs a baseline step lvm.snapshot")

// usedLimit is where a snapshot counts as lost soon.
const usedLimit = 70

func (c MergeConfig) limit() float64 {
	if c.MaxUsed > 0 {
		return float64(c.MaxUsed)
	}
	return usedLimit
}

// set is the set that the task is about; without one nothing can be done.
func set(t backout.Task) (made, error) {
	m, err := madeFor(t)
	if err == nil && len(m.Set) == 0 {
		err = errNoSet
	}
	if err != nil {
		return m, backout.Permanent(err)
	}
	return m, nil
}

// Execute implements [backout.Executor]. It has done its work when each volume is
// merged or scheduled to be; the outcome says which.
func (e Merge) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	m, err := set(t)
	if err != nil {
		return backout.Outcome{}, err
	}
	if err := changeName(t.ChangeID); err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	args := []string{t.ChangeID, m.Kernel}
	for _, s := range m.Set {
		args = append(args, s.Volume, s.Origin, s.UUID)
	}
	outcome, err := run(ctx, t, h, out, mergeScript, args...)
	if err != nil {
		return outcome, err
	}
	r, err := look(ctx, h, t.ChangeID, onlyLVM)
	if err != nil {
		return outcome, err
	}
	p := ordered(r, m)
	fmt.Fprintln(out, p.Detail)
	outcome.Summary = p.Detail
	if p.State != backout.ProbeDone {
		return outcome, fmt.Errorf("lvconvert ended well, but %s", p.Detail)
	}
	return outcome, nil
}

// Probe implements [backout.Prober]. A scheduled merge is what the step is to bring
// about: the reboot is a step of its own.
func (e Merge) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	m, err := set(t)
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown}, err
	}
	r, err := look(ctx, h, t.ChangeID, onlyLVM)
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown}, err
	}
	return ordered(r, m), nil
}

// ordered tells whether every merge of the set is done, under way or scheduled.
func ordered(r *report, m made) backout.Probed {
	var said []string
	worst := backout.ProbeDone
	scheduled := false
	for _, s := range m.Set {
		st := r.stand(s)
		said = append(said, st.detail)
		switch st.state {
		case backout.ProbePendingReboot:
			scheduled = true
		case backout.ProbeDone, backout.ProbeInProgress:
		case backout.ProbeNotDone, backout.ProbeBroken, backout.ProbeUnknown:
			worst = worse(worst, st.state)
		}
	}
	if worst == backout.ProbeDone && scheduled {
		said = append(said, "reboot it now: what is written until then is lost too")
	}
	return backout.Probed{State: worst, Detail: strings.Join(said, "; ")}
}

// worse returns the state that counts for a whole of both.
func worse(a, b backout.ProbeState) backout.ProbeState {
	rank := map[backout.ProbeState]int{
		backout.ProbeDone: 0, backout.ProbeInProgress: 1, backout.ProbePendingReboot: 2, backout.ProbeNotDone: 3, backout.ProbeUnknown: 4, backout.ProbeBroken: 5,
	}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// Preflight implements [backout.Preflighter]. Before the window there is nothing to
// merge yet, and lvm.snapshot says whether there can be.
func (e Merge) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	m, err := madeFor(t)
	if err != nil {
		return unreadable(err)
	}
	r, err := look(ctx, h, t.ChangeID, more)
	switch {
	case err != nil:
		return unreadable(err)
	case len(m.Set) > 0:
		return append(m.ready(r, e.config.limit()), m.boots(r)...)
	case t.Opened || t.Delta != nil:
		var no violations
		no.no("snapshot", "add a baseline step lvm.snapshot to the plan, and open a new change", "%v", errNoSet)
		return no
	}
	return nil
}

// boots checks that what boots after the merge has its modules, where the patch may
// have brought another kernel. With grubby the merge sees to it itself.
func (m made) boots(r *report) []backout.Violation {
	if m.Kernel == "" || r.Settings["grubby"] == "yes" || r.Settings["default"] == "" {
		return nil
	}
	return defaultKernel(r, m.Kernel)
}

// ready checks that every snapshot of the set would merge, now and for a while yet.
func (m made) ready(r *report, limit float64) []backout.Violation {
	var no violations
	for _, s := range m.Set {
		st := r.stand(s)
		switch st.state {
		case backout.ProbeNotDone:
			s.filling(r, st.snapshot, limit, &no)
		case backout.ProbePendingReboot, backout.ProbeInProgress:
			no.no("snapshot", "the change is being backed out: see backout status", "%s: the next boot takes the volume back, whatever made it boot", st.detail)
		case backout.ProbeDone:
			no.no("snapshot", "end the change: nothing leads back any more", "%s: its snapshot is used up", st.detail)
		case backout.ProbeBroken, backout.ProbeUnknown:
			no.no("snapshot", "L2 is not there any more: decide whether the change goes on without it", "%s", st.detail)
		}
	}
	return no
}

// filling checks how full a snapshot is, or its pool.
func (s snapped) filling(r *report, snapshot lv, limit float64, no *violations) {
	if s.Thin {
		poolRoom(r, snapshot.VG+"/"+snapshot.Pool, max(limit, poolLimit), no)
		return
	}
	used, ok := percent(snapshot.Snap)
	fix := fmt.Sprintf("lvextend -L +%s %s, while group %s has %s free", human(max(snapshot.bytes()/2, 1<<20)), s.Snapshot, snapshot.VG, human(r.VGs[snapshot.VG].Free))
	switch {
	case !ok:
		no.no("snapshot", "look at lvs -a: an inactive snapshot does not tell", "how full snapshot %s is cannot be read", s.Snapshot)
	case used >= 90:
		no.no("snapshot", fix, "snapshot %s is %.0f %% full and lost at 100 %%: extend it at once", s.Snapshot, used)
	case used >= limit:
		no.no("snapshot", fix, "snapshot %s is filling up: %.0f %%", s.Snapshot, used)
	}
}

// Loses implements [backout.Loser].
func (e Merge) Loses(_ context.Context, t backout.Task, _ backout.Host) (string, error) {
	m, err := madeFor(t)
	if err != nil {
		return "", err
	}
	if len(m.Set) == 0 {
		return "everything written to the volumes after their snapshot", nil
	}
	var names []string
	for _, s := range m.Set {
		names = append(names, s.Volume)
	}
	age := backout.Duration(max(time.Since(m.At), 0).Truncate(time.Minute))
	return fmt.Sprintf("data written since %s (%s ago) on %s", m.At.UTC().Format("2006-01-02T15:04Z"), age, strings.Join(names, ", ")), nil
}

// Sudo implements [backout.Privileged].
func (Merge) Sudo() []string {
	return []string{"/usr/sbin/lvs *", "/usr/sbin/vgs *", "/usr/sbin/lvchange *", "/usr/sbin/lvconvert *", "/usr/sbin/grubby *"}
}
