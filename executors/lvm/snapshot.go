package lvm

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

//go:embed snapshot.sh
var snapshotScript string

// Snapshot is one configured lvm.snapshot.
type Snapshot struct{ config SnapshotConfig }

var (
	_ backout.Executor    = Snapshot{}
	_ backout.Preflighter = Snapshot{}
	_ backout.Prober      = Snapshot{}
	_ backout.Cleaner     = Snapshot{}
	_ backout.Privileged  = Snapshot{}
)

// Execute implements [backout.Executor]. What the same change has left from an
// earlier opening is made anew; once the patch may have been applied it refuses.
func (s Snapshot) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if err := executors.BeforePatch(t); err != nil {
		return backout.Outcome{}, err
	}
	if t.RollbackID != "" {
		return backout.Outcome{}, backout.Permanent(errors.New("a snapshot is a step of the baseline, not of a rollback"))
	}
	r, err := look(ctx, h, t.ChangeID, onlyLVM)
	if err != nil {
		return backout.Outcome{}, err
	}
	volumes, no := s.config.plan(r, t)
	begun, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Outcome{}, err
	}
	if len(no) > 0 && begun.State == backout.AttemptNotStarted {
		return backout.Outcome{}, fmt.Errorf("snapshots cannot be made: %s", no[0].Reason)
	}
	args := []string{t.ChangeID}
	for _, v := range volumes {
		args = append(args, v.name, v.snapshot, strconv.FormatInt(v.size, 10), v.mount)
	}
	outcome, err := run(ctx, t, h, out, snapshotScript, args...)
	if err != nil {
		return outcome, err
	}
	return s.seen(ctx, t, h, out, outcome)
}

// seen verifies the set and writes it down.
func (s Snapshot) seen(ctx context.Context, t backout.Task, h backout.Host, out io.Writer, outcome backout.Outcome) (backout.Outcome, error) {
	r, err := look(ctx, h, t.ChangeID, more)
	if err != nil {
		return outcome, err
	}
	m, err := s.find(r, t.ChangeID)
	if err != nil {
		return outcome, err
	}
	if outcome.Facts, err = m.facts(); err != nil {
		return outcome, err
	}
	var names []string
	for _, v := range m.Set {
		names = append(names, v.Snapshot)
		if v.Thin {
			fmt.Fprintf(out, "%s: thin snapshot of %s, uuid %s\n", v.Snapshot, v.Volume, v.UUID)
			continue
		}
		fmt.Fprintf(out, "%s: snapshot of %s with room for %s, uuid %s\n", v.Snapshot, v.Volume, human(v.Size), v.UUID)
	}
	fmt.Fprintf(out, "%s\n", autoextends(r))
	outcome.Summary = "snapshotted as " + strings.Join(names, " ")
	return outcome, nil
}

// autoextends says whether anything extends a snapshot that fills up.
func autoextends(r *report) string {
	threshold := r.Settings["snapshot_autoextend_threshold"]
	if n, err := strconv.Atoi(threshold); err == nil && n < 100 && r.Settings["dmeventd"] == "runs" {
		return fmt.Sprintf("dmeventd extends a snapshot that is %d %% full", n)
	}
	return fmt.Sprintf("nothing extends a snapshot that fills up (snapshot_autoextend_threshold %s, dmeventd %t)", threshold, r.Settings["dmeventd"] == "runs")
}

// find reads the set that the change has on the target; an error says what is
// missing of it.
func (s Snapshot) find(r *report, changeID string) (made, error) {
	m := made{At: r.Now}
	if !s.config.UncheckedBoot {
		m.Kernel = r.Kernel
	}
	for _, name := range s.config.Volumes {
		origin, ok := r.byName(name)
		if !ok {
			return m, fmt.Errorf("there is no volume %s", name)
		}
		full := origin.VG + "/" + snapshotName(changeID, name)
		snapshot, ok := r.byName(full)
		switch {
		case !ok || snapshot.OriginID != origin.UUID || !snapshot.tagged(tagOf(changeID)):
			return m, fmt.Errorf("%s has no snapshot of this change", name)
		case snapshot.invalid():
			return m, fmt.Errorf("snapshot %s is invalid", full)
		case snapshot.merging():
			return m, fmt.Errorf("snapshot %s is being merged", full)
		}
		mount := r.mountOf(origin)
		if mount != "" && !r.Markers["post "+mount] {
			return m, fmt.Errorf("%s has no marker of after its snapshot", mount)
		}
		m.Set = append(m.Set, snapped{
			Volume: name, Origin: origin.UUID, Snapshot: full, UUID: snapshot.UUID, Size: sizeOf(snapshot), Thin: snapshot.thin(), Mount: mount,
		})
	}
	return m, nil
}

func sizeOf(v lv) int64 {
	if v.thin() {
		return 0
	}
	return v.bytes()
}

// Probe implements [backout.Prober].
func (s Snapshot) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	r, err := look(ctx, h, t.ChangeID, onlyLVM)
	if err != nil {
		return backout.Probed{State: backout.ProbeUnknown}, err
	}
	if _, err := s.find(r, t.ChangeID); err != nil {
		return backout.Probed{State: backout.ProbeNotDone, Detail: err.Error()}, nil
	}
	return backout.Probed{State: backout.ProbeDone, Detail: "every volume has its snapshot"}, nil
}

// Preflight implements [backout.Preflighter]: before the snapshots are made, whether
// they can be; afterwards whether they still lead back.
func (s Snapshot) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	m, err := madeFor(t)
	if err != nil {
		return unreadable(err)
	}
	what := boot
	if s.config.UncheckedBoot || len(m.Set) > 0 {
		what = onlyLVM
	}
	r, err := look(ctx, h, t.ChangeID, what)
	if err != nil {
		return unreadable(err)
	}
	if len(m.Set) > 0 {
		return m.ready(r, MergeConfig{}.limit())
	}
	_, no := s.config.plan(r, t)
	if !s.config.UncheckedBoot {
		return append(no, bootable(r)...)
	}
	return no
}

// bootable checks that the next boot can activate a volume with a snapshot, and will
// boot the kernel whose modules the snapshot has.
func bootable(r *report) []backout.Violation {
	var no violations
	const anyway = "; or set unchecked_boot where you know that it can"
	switch by := r.Settings["initramfs"]; by {
	case "yes":
	case "dracut":
		no.no("initramfs", "dracut -f --add-drivers dm-snapshot", "the initramfs of %s has no dm-snapshot: with a snapshot of the root the next boot fails, also without a rollback", r.Kernel)
	case "initramfs-tools":
		no.no("initramfs", "echo dm-snapshot >>/etc/initramfs-tools/modules && update-initramfs -u", "the initramfs of %s has no dm-snapshot: with a snapshot of the root the next boot fails, also without a rollback", r.Kernel)
	default:
		no.no("initramfs", "install lsinitrd (dracut) or lsinitramfs (initramfs-tools-core)"+anyway, "whether the initramfs of %s has dm-snapshot cannot be seen", r.Kernel)
	}
	return append(no, defaultKernel(r, r.Kernel)...)
}

// defaultKernel checks that the next boot takes the kernel. /boot does not go back
// with the root, and its boot loader may not see a merge: a kernel whose modules are
// gone would boot.
func defaultKernel(r *report, kernel string) []backout.Violation {
	var no violations
	switch booted, known := r.Settings["default"]; {
	case !known || booted == "":
		no.no("boot", "set unchecked_boot where you know that the next boot takes kernel "+kernel, "which kernel the next boot takes cannot be seen: neither grubby nor /boot/grub/grub.cfg is there")
	case !strings.HasSuffix(booted, "-"+kernel):
		no.no("boot", "make it the default: grubby --set-default /boot/vmlinuz-"+kernel+", or reboot into the default kernel before the window",
			"the next boot takes %s, and the snapshot has the modules of %s", booted, kernel)
	}
	return no
}

// Sudo implements [backout.Privileged].
func (Snapshot) Sudo() []string {
	return []string{"/usr/sbin/lvcreate *", "/usr/sbin/lvremove *", "/usr/sbin/lvs *", "/usr/sbin/vgs *"}
}
