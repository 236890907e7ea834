package lvm

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

//go:embed finish.sh
var finishScript string

// Finish is one configured lvm.finish.
type Finish struct{ config FinishConfig }

var (
	_ backout.Executor    = Finish{}
	_ backout.Preflighter = Finish{}
	_ backout.Prober      = Finish{}
	_ backout.Privileged  = Finish{}
)

const defaultWait = 30 * time.Minute

func (c FinishConfig) wait() time.Duration {
	if c.Wait > 0 {
		return time.Duration(c.Wait)
	}
	return defaultWait
}

// Execute implements [backout.Executor]. A merge that still waits for the reboot is
// an error at once, not after the wait.
func (e Finish) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	m, err := set(t)
	if err != nil {
		return backout.Outcome{}, err
	}
	r, err := look(ctx, h, t.ChangeID, onlyLVM)
	if err != nil {
		return backout.Outcome{}, err
	}
	switch p := finished(r, m); p.State {
	case backout.ProbePendingReboot, backout.ProbeNotDone, backout.ProbeBroken:
		return backout.Outcome{}, fmt.Errorf("there is nothing to wait for: %s", p.Detail)
	case backout.ProbeDone, backout.ProbeInProgress, backout.ProbeUnknown:
	}
	args := []string{strconv.Itoa(int(e.config.wait() / time.Second))}
	for _, s := range m.Set {
		args = append(args, s.UUID)
	}
	outcome, err := run(ctx, t, h, out, finishScript, args...)
	if err != nil {
		return outcome, err
	}
	if r, err = look(ctx, h, t.ChangeID, onlyLVM); err != nil {
		return outcome, err
	}
	p := finished(r, m)
	fmt.Fprintln(out, p.Detail)
	outcome.Summary = p.Detail
	if p.State != backout.ProbeDone {
		return outcome, errors.New(p.Detail)
	}
	return outcome, nil
}

// Probe implements [backout.Prober].
func (e Finish) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	m, err := set(t)
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown}, err
	}
	r, err := look(ctx, h, t.ChangeID, onlyLVM)
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown}, err
	}
	return finished(r, m), nil
}

// finished tells how far the set as a whole is.
func finished(r *report, m made) backout.Probed {
	p := backout.Probed{State: backout.ProbeDone}
	var said []string
	for _, s := range m.Set {
		st := r.stand(s)
		p.State = worse(p.State, st.state)
		said = append(said, st.detail)
	}
	p.Detail = strings.Join(said, "; ")
	return p
}

// Preflight implements [backout.Preflighter]: LVM is there. The rest lvm.snapshot
// and lvm.merge say.
func (e Finish) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	if _, err := look(ctx, h, t.ChangeID, onlyLVM); err != nil {
		return unreadable(err)
	}
	return nil
}

// Sudo implements [backout.Privileged].
func (Finish) Sudo() []string { return []string{"/usr/sbin/lvs *", "/usr/sbin/vgchange --poll y *"} }
