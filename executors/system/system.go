// Package system reboots targets.
//
//	uses: system.reboot
//	with: {delay: 3s, wait_for: running}
//
// The step has ended well when the target answers under another boot id. Until then
// it waits, as long as the step's time-out says: a target that does not go down, since
// something inhibits it or a stop job hangs, is reported and never reset hard.
package system

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
	"github.com/backout-io/backout/executors"
)

// RebootName is what a step's "uses" calls it.
const RebootName = "system.reboot"

//go:embed reboot.sh
var rebootScript string

// Config is the section of a step.
type Config struct {
	Delay backout.Duration `json:"delay,omitempty" yaml:"delay,omitempty" doc:"how long after the order the target goes down, so that the order can be answered; default 3s"`
	// WaitFor is running or degraded.
	WaitFor string `json:"wait_for,omitempty" yaml:"wait_for,omitempty" doc:"what systemd must say after the reboot: running, or degraded (the default), which also takes a target with a failed unit"`
}

// Kind is the executor "system.reboot".
func Kind() executors.Kind {
	k := executors.Define(RebootName, "reboot the target and see it come up under another boot id",
		func(_ context.Context, c Config) (backout.Executor, error) { return Reboot{c}, nil })
	k.Reboots = true
	return k
}

const defaultDelay = 3 * time.Second

// Validate refuses what is no delay or state.
func (c *Config) Validate() error {
	var errs []error
	if c.Delay != 0 && (time.Duration(c.Delay) < time.Second || time.Duration(c.Delay) > time.Hour) {
		errs = append(errs, fmt.Errorf("delay: %s: want 1s to 1h", c.Delay))
	}
	if c.WaitFor != "" && c.WaitFor != "running" && c.WaitFor != "degraded" {
		errs = append(errs, fmt.Errorf("wait_for: %q: want running or degraded", c.WaitFor))
	}
	return errors.Join(errs...)
}

// seconds is the delay in whole seconds, rounded up.
func (c Config) seconds() string {
	d := time.Duration(c.Delay)
	if d == 0 {
		d = defaultDelay
	}
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}

// Reboot is one configured reboot.
type Reboot struct{ config Config }

var (
	_ backout.Executor    = Reboot{}
	_ backout.Preflighter = Reboot{}
	_ backout.Prober      = Reboot{}
	_ backout.Privileged  = Reboot{}
)

// Execute implements [backout.Executor]: it gives the order. That the target went
// down and came up is seen by its boot id, which the runner waits for.
func (r Reboot) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	return executors.Attempt(ctx, t, h, backout.Exec{Argv: []string{"sh", "-c", rebootScript, "sh", r.config.seconds()}, Env: executors.Facts(t)}, out)
}

// Probe implements [backout.Prober] by the boot id under which the attempt was begun.
func (r Reboot) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	report, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown}, err
	}
	switch {
	case report.Rebooted():
		return r.up(ctx, h)
	case report.State == backout.AttemptNotStarted:
		if p, err := r.up(ctx, h); err != nil || p.State == backout.ProbeBroken {
			return p, err
		}
		return backout.Probed{State: backout.ProbeUnknown, Detail: "the order's record is not there: it was never given, or the reboot has put back the disk that had it"}, nil
	case report.State == backout.AttemptFinished && report.ExitCode != 0:
		return backout.Probed{State: backout.ProbeNotDone, Detail: fmt.Sprintf("the order failed with exit code %d", report.ExitCode)}, nil
	}
	return backout.Probed{State: backout.ProbeInProgress, Detail: "it was told to reboot and runs the same boot yet"}, nil
}

// up asks whether the target has come up as far as is wanted.
func (r Reboot) up(ctx context.Context, h backout.Host) (backout.Probed, error) {
	answer, err := h.Run(ctx, backout.Exec{Argv: []string{"systemctl", "is-system-running"}})
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown}, err
	}
	state := strings.TrimSpace(string(answer.Stdout))
	switch state {
	case "running", "", "offline": // without systemd, answering is being up
		return backout.Probed{State: backout.ProbeDone, Detail: "it has rebooted"}, nil
	case "degraded":
		if r.config.WaitFor == "running" {
			return backout.Probed{State: backout.ProbeBroken, Detail: "it has rebooted and is degraded: a unit has failed"}, nil
		}
		return backout.Probed{State: backout.ProbeDone, Detail: "it has rebooted and is degraded"}, nil
	case "starting", "initializing", "stopping":
		return backout.Probed{State: backout.ProbeInProgress, Detail: "it is " + state}, nil
	}
	return backout.Probed{State: backout.ProbeBroken, Detail: "it has rebooted and is in state " + state}, nil
}

// lookScript prints whether it can reboot and what holds it back.
const lookScript = `export LC_ALL=C
if [ -d /run/systemd/system ]; then
	command -v systemd-run >/dev/null || echo missing=systemd-run
	echo "state=$(systemctl is-system-running)"
	systemd-inhibit --list --no-legend 2>/dev/null | grep -w shutdown | grep -w block | sed 's/^/inhibited=/'
elif ! command -v reboot >/dev/null; then
	echo missing=reboot
fi
[ "$(id -u)" = 0 ] || echo "user=$(id -un)"
echo end=`

// Preflight implements [backout.Preflighter]: it may reboot, and nothing keeps it
// from it.
func (r Reboot) Preflight(ctx context.Context, _ backout.Task, h backout.Host) []backout.Violation {
	var no []backout.Violation
	refuse := func(reason, fix string) {
		no = append(no, backout.Violation{Check: "reboot", Reason: reason, Fix: fix})
	}
	answer, err := h.Run(ctx, backout.Exec{Argv: []string{"sh", "-c", lookScript}})
	if err != nil {
		refuse(err.Error(), "make the target reachable")
		return no
	}
	whole := false
	for line := range strings.Lines(string(answer.Stdout)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "missing":
			refuse(value+" is not on the target", "install it")
		case "user":
			refuse("only root may reboot it, and "+value+" logs in", "use sudo, or log in as root")
		case "inhibited":
			refuse("something keeps it from rebooting: "+strings.Join(strings.Fields(value), " "), "end that; systemd-inhibit --list shows it")
		case "state":
			if value == "stopping" || value == "maintenance" {
				refuse("the target is "+value, "wait until it is up, or put it in order")
			}
		case "end":
			whole = true
		}
	}
	if !whole {
		refuse("whether it can reboot cannot be seen: the answer is not whole", "look at the target")
	}
	return no
}

// Sudo implements [backout.Privileged].
func (Reboot) Sudo() []string {
	return []string{"/usr/bin/systemd-run --quiet --collect --on-active=* --timer-property=AccuracySec=100ms systemctl --no-ask-password reboot"}
}
