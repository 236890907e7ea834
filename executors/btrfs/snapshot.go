package btrfs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	tool "github.com/backout-io/backout/internal/btrfs"
)

// Snapshot is the baseline step.
type Snapshot struct{ set }

var (
	_ backout.Executor    = Snapshot{}
	_ backout.Preflighter = Snapshot{}
	_ backout.Prober      = Snapshot{}
	_ backout.Cleaner     = Snapshot{}
	_ backout.Privileged  = Snapshot{}
)

// kept is one snapshot, as the baseline remembers it.
type kept struct {
	Path string `json:"path"`
	Name string `json:"name"`
	// Tree is where the subvolume was from the top level of Device.
	Tree   string `json:"tree"`
	Device string `json:"device"`
	// UUID is the snapshot's, Of that of the subvolume it was made of.
	UUID       string `json:"uuid"`
	Of         string `json:"of"`
	ID         int    `json:"subvolid"`
	Generation int    `json:"generation"`
}

const factKey, factMade, factPrefix = "key", "made", "subvolume."

// folder is where the change's snapshots are, from the top level.
func folder(change string) string { return ".backout/" + change + "/" }

// Preflight implements [backout.Preflighter].
func (s Snapshot) Preflight(ctx context.Context, t backout.Task, h backout.Host) []backout.Violation {
	if err := executors.CheckChange(t.ChangeID); err != nil {
		return []backout.Violation{{Check: "btrfs", Reason: err.Error(), Fix: "give the change another id"}}
	}
	now, err := look(ctx, h, s.paths())
	if err != nil {
		return []backout.Violation{{Check: "btrfs", Reason: err.Error(), Fix: "see what btrfs says on the target"}}
	}
	return s.check(now)
}

// Execute implements [backout.Executor].
func (s Snapshot) Execute(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) (backout.Outcome, error) {
	if err := executors.BeforePatch(t); err != nil {
		return backout.Outcome{}, err
	}
	key, err := executors.Mark(t)
	if err != nil {
		return backout.Outcome{}, err
	}
	now, err := look(ctx, h, s.paths())
	if err != nil {
		return backout.Outcome{}, err
	}
	if v := s.check(now); len(v) > 0 {
		// What an attempt that is attached to has used up is no reason.
		r, err := h.Probe(ctx, t.AttemptID)
		if err != nil {
			return backout.Outcome{}, err
		}
		if r.State == backout.AttemptNotStarted {
			return backout.Outcome{}, errors.New(v[0].Reason)
		}
	}
	if slices.ContainsFunc(s.paths(), func(p string) bool { return now.paths[p] == nil || now.paths[p].subvolume == nil }) {
		return backout.Outcome{}, errors.New("not all of " + strings.Join(s.paths(), " ") + " are btrfs subvolumes")
	}
	outcome, err := attempt(ctx, t, h, apart(takeText, t.ChangeID, key, s.args(now)), out)
	if err != nil {
		return outcome, err
	}
	if now, err = look(ctx, h, s.paths()); err != nil {
		return outcome, err
	}
	if !s.isDone(now, t.ChangeID, key) {
		return outcome, errors.New("btrfs ended well, but the snapshots or their markers are not there")
	}
	outcome.Facts, err = s.facts(now, t.ChangeID, key, outcome.FinishedAt)
	outcome.Summary = fmt.Sprintf("snapshots of %s are kept in %s", strings.Join(s.paths(), " "), folder(t.ChangeID))
	return outcome, err
}

// args are the scripts' arguments for the whole set.
func (s set) args(now seen) []string {
	var args []string
	for _, p := range s.paths() {
		sub := now.paths[p].subvolume
		args = append(args, nameOf(p), sub.Tree, now.table.Device(p), sub.UUID)
	}
	return args
}

// isDone tells whether every subvolume has its snapshot of this key.
func (s Snapshot) isDone(now seen, change, key string) bool {
	for _, p := range s.paths() {
		at := now.paths[p]
		if at == nil || at.subvolume == nil || !at.names[".backout-pre-"+key] || !at.names[".backout-post-"+key] {
			return false
		}
		if k := at.kept(folder(change) + nameOf(p)); k == nil || k.ParentUUID != at.subvolume.UUID {
			return false
		}
	}
	return true
}

func (s Snapshot) facts(now seen, change, key string, made time.Time) (map[string]string, error) {
	facts := map[string]string{factKey: key}
	if !made.IsZero() {
		facts[factMade] = made.UTC().Format(time.RFC3339)
	}
	for _, p := range s.paths() {
		at := now.paths[p]
		k := at.kept(folder(change) + nameOf(p))
		text, err := json.Marshal(kept{
			Path: p, Name: nameOf(p), Tree: at.subvolume.Tree, Device: now.table.Device(p), UUID: k.UUID, Of: at.subvolume.UUID, ID: k.ID, Generation: k.Generation,
		})
		if err != nil {
			return nil, err
		}
		facts[factPrefix+nameOf(p)] = string(text)
	}
	return facts, nil
}

// Probe implements [backout.Prober].
func (s Snapshot) Probe(ctx context.Context, t backout.Task, h backout.Host) (backout.Probed, error) {
	key, err := executors.Mark(t)
	if err != nil {
		return backout.Probed{}, err
	}
	now, err := look(ctx, h, s.paths())
	if err != nil {
		return backout.Probed{}, err
	}
	if s.isDone(now, t.ChangeID, key) {
		return backout.Probed{State: backout.ProbeDone, Detail: "snapshots and markers of " + key + " are there"}, nil
	}
	return unfinished(ctx, t, h, "the set of snapshots is not whole")
}

// unfinished tells work that is under way from work that is not.
func unfinished(ctx context.Context, t backout.Task, h backout.Host, detail string) (backout.Probed, error) {
	r, err := h.Probe(ctx, t.AttemptID)
	if err != nil {
		return backout.Probed{}, err
	}
	if r.State == backout.AttemptRunning {
		return backout.Probed{State: backout.ProbeInProgress, Detail: "the attempt is running"}, nil
	}
	return backout.Probed{State: backout.ProbeNotDone, Detail: detail}, nil
}

// Cleanup implements [backout.Cleaner]: it removes the snapshots, what a restore
// has put aside, and the markers.
func (s Snapshot) Cleanup(ctx context.Context, t backout.Task, h backout.Host, out io.Writer) error {
	if err := executors.CheckChange(t.ChangeID); err != nil {
		return backout.Permanent(err)
	}
	now, err := look(ctx, h, s.paths())
	switch {
	case err != nil:
		return err
	case now.missing != "":
		return nil
	}
	var args []string
	for _, p := range s.paths() {
		if at := now.paths[p]; at != nil && at.subvolume != nil && at.subvolume.ID != tool.TopLevel {
			args = append(args, nameOf(p), at.subvolume.Tree, now.table.Device(p), at.subvolume.UUID)
			continue
		}
		// What is not mounted now still has its snapshot.
		var k kept
		if json.Unmarshal([]byte(s.snapshots(t)[factPrefix+nameOf(p)]), &k) == nil && plainDevice.MatchString(k.Device) && k.Tree != "" {
			args = append(args, nameOf(p), k.Tree, k.Device, k.Of)
		}
	}
	if len(args) == 0 {
		return nil
	}
	// What is inside another one goes first.
	var turned []string
	for group := range slices.Chunk(args, 4) {
		turned = append(slices.Clone(group), turned...)
	}
	_, err = attempt(ctx, t, h, apart(cleanText, t.ChangeID, "-", turned), out)
	return err
}

// Sudo implements [backout.Privileged].
func (s set) Sudo() []string {
	return []string{"/usr/bin/unshare", "/usr/bin/btrfs", "/usr/sbin/btrfs", "/usr/bin/sh", "/bin/sh"}
}
