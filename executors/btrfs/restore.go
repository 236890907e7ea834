package btrfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
)

// Restore is the step that puts a set back.
type Restore struct{ set }

var (
	_ backout.Executor    = Restore{}
	_ backout.Preflighter = Restore{}
	_ backout.Prober      = Restore{}
	_ backout.Loser       = Restore{}
	_ backout.Privileged  = Restore{}
)

// prepared returns what the baseline has of the set, by path.
func (r Restore) prepared(t backout.Task) (key string, all map[string]kept, err error) {
	facts := r.snapshots(t)
	if facts == nil {
		return "", nil, fmt.Errorf("the baseline has no snapshot of %s: %s has to be a step of it, with the same subvolumes", strings.Join(r.paths(), " and "), snapshotKind)
	}
	if key = facts[factKey]; !executors.IsMark(key, t.ChangeID) {
		return "", nil, errors.New("the baseline does not tell the snapshots' key")
	}
	all = map[string]kept{}
	for _, p := range r.paths() {
		var k kept
		if err := json.Unmarshal([]byte(facts[factPrefix+nameOf(p)]), &k); err != nil || k.Path != p || k.UUID == "" || !plainDevice.MatchString(k.Device) {
			return "", nil, fmt.Errorf("the baseline has no snapshot of %s: give %s the same subvolumes", p, snapshotKind)
		}
		all[p] = k
	}
	return key, all, nil
}

// Preflight implements [backout.Preflighter]. Before the snapshots are made it
// tells whether they could be put back.
func (r Restore) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	now, err := look(ctx, h, r.paths())
	if err != nil {
		return []backout.Violation{{Check: "btrfs", Reason: err.Error(), Fix: "see what btrfs says on the target"}}
	}
	// Room is looked at for the snapshot; putting back needs little.
	r.config.FreeMiB = min(64, int(r.need()>>20))
	v := r.check(now)
	if len(v) > 0 || !t.Opened {
		return v
	}
	key, all, err := r.prepared(t)
	if err != nil {
		v.Add("btrfs", err.Error(), "correct the plan, and open the window anew")
		return v
	}
	for _, p := range r.paths() {
		at, k := now.paths[p], all[p]
		if snap := at.kept(folder(t.ChangeID) + k.Name); snap == nil || snap.UUID != k.UUID {
			v.Add("snapshot", "the snapshot of "+p+" is gone from the target", "take the baseline anew, before anything else is patched")
		}
		if !at.names[".backout-pre-"+key] || !at.names[".backout-post-"+key] {
			v.Add("snapshot", "the markers of the snapshot are gone from "+p+": whether it has been put back could not be told", "put .backout-pre-"+key+" and .backout-post-"+key+" back into it")
		}
	}
	return v
}

// Execute implements [backout.Executor]. With / in the set it ends well when the
// next boot will find the snapshots; the boot itself is another step's.
func (r Restore) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if err := executors.CheckChange(t.ChangeID); err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	key, all, err := r.prepared(t)
	if err != nil {
		return backout.Outcome{}, backout.Permanent(err)
	}
	var args []string
	for _, p := range r.paths() {
		args = append(args, all[p].Name, all[p].Tree, all[p].Device, all[p].UUID)
	}
	argv := apart(putText, t.ChangeID, key, args)
	if !r.atBoot() {
		argv = slices.Concat([]string{"sh", "-c", aroundText, "sh", strconv.Itoa(len(r.paths()))}, r.paths(), argv)
	}
	outcome, err := attempt(ctx, t, h, argv, out)
	if err != nil {
		return outcome, err
	}
	probed, err := r.Probe(ctx, t, h)
	if err != nil {
		return outcome, err
	}
	outcome.Summary = probed.Detail
	if probed.State == backout.ProbeDone || probed.State == backout.ProbePendingReboot && r.atBoot() {
		return outcome, nil
	}
	return outcome, fmt.Errorf("btrfs ended well, but the subvolumes are not put back: %s", probed.Detail)
}

// Probe implements [backout.Prober]: the markers tell what has been put back, and
// names and default subvolume what the next boot finds.
func (r Restore) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	key, all, err := r.prepared(t)
	if err != nil {
		return backout.Probed{}, err
	}
	now, err := look(ctx, h, r.paths())
	if err != nil {
		return backout.Probed{}, err
	}
	states := map[backout.ProbeState][]string{}
	for _, p := range r.paths() {
		state := now.state(p, key, all[p], t.ChangeID)
		states[state] = append(states[state], p)
	}
	only := func(state backout.ProbeState) bool { return len(states[state]) == len(r.paths()) }
	switch {
	case len(states[backout.ProbeUnknown]) > 0:
		return backout.Probed{State: backout.ProbeUnknown, Detail: strings.Join(states[backout.ProbeUnknown], " ") + ": no marker of the snapshot, a wrong or rebuilt volume"}, nil
	case only(backout.ProbeDone):
		return backout.Probed{State: backout.ProbeDone, Detail: "put back: " + strings.Join(r.paths(), " ")}, nil
	case len(states[backout.ProbeNotDone]) == 0:
		return backout.Probed{State: backout.ProbePendingReboot, Detail: "the next boot finds the snapshots of " + strings.Join(states[backout.ProbePendingReboot], " ")}, nil
	}
	probed, err := unfinished(ctx, t, h, "not put back: "+strings.Join(states[backout.ProbeNotDone], " "))
	if probed.State == backout.ProbeNotDone && !only(backout.ProbeNotDone) {
		probed.State = backout.ProbeBroken
	}
	return probed, err
}

// state is how far one path is.
func (n seen) state(p, key string, k kept, change string) backout.ProbeState {
	at := n.paths[p]
	if at == nil || at.subvolume == nil {
		// What is inside another one is a plain folder until the boot, or not mounted.
		return backout.ProbeNotDone
	}
	pre, post := at.names[".backout-pre-"+key], at.names[".backout-post-"+key]
	switch {
	case !pre:
		return backout.ProbeUnknown
	case !post && at.subvolume.ParentUUID == k.UUID:
		return backout.ProbeDone
	case !post || at.subvolume.ParentUUID == k.UUID:
		return backout.ProbeUnknown
	}
	next, bad := at.kept(k.Tree), at.kept(folder(change)+k.Name+"-backed-out")
	if next == nil || next.ParentUUID != k.UUID || bad != nil && at.deflt == bad.ID {
		return backout.ProbeNotDone
	}
	return backout.ProbePendingReboot
}

// Loses implements [backout.Loser]: what is lost, with its age.
func (r Restore) Loses(_ context.Context, t backout.Task, _ backout.Host) (string, error) {
	what := "data written to " + strings.Join(r.paths(), " and ")
	facts := r.snapshots(t)
	if facts == nil {
		return what + " since the snapshot that is made when the window opens", nil
	}
	made, err := time.Parse(time.RFC3339, facts[factMade])
	if err != nil {
		return what + " since its snapshot", nil //nolint:nilerr // a baseline without the time still has the snapshot
	}
	return fmt.Sprintf("%s since %s (%s ago)", what, made.UTC().Format("2006-01-02T15:04Z"), backout.Duration(time.Since(made).Truncate(time.Minute))), nil
}
