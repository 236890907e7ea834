package lvm

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// snapped is one volume of a set and its snapshot, as the baseline remembers it.
type snapped struct {
	Volume   string `json:"volume"`
	Origin   string `json:"origin_uuid"`
	Snapshot string `json:"snapshot"`
	UUID     string `json:"uuid"`
	Size     int64  `json:"size,omitempty"`
	Thin     bool   `json:"thin,omitempty"`
	Mount    string `json:"mount,omitempty"`
}

// made is what lvm.snapshot has left on a target.
type made struct {
	At time.Time
	// Kernel is what has to boot after a merge; empty when the plan does not ask.
	Kernel string
	Set    []snapped
}

// The facts of [backout.Prepared].
const (
	factSet    = "set"
	factMadeAt = "made_at"
	factKernel = "kernel"
)

func (m made) facts() (map[string]string, error) {
	set, err := json.Marshal(m.Set)
	if err != nil {
		return nil, fmt.Errorf("write down the set: %w", err)
	}
	return map[string]string{factSet: string(set), factMadeAt: m.At.UTC().Format(time.RFC3339), factKernel: m.Kernel}, nil
}

var uuidText = regexp.MustCompile(`^[A-Za-z0-9]{6}(-[A-Za-z0-9]{4}){5}-[A-Za-z0-9]{6}$`)

// madeFor reads the sets of all lvm.snapshot steps of the change.
func madeFor(t backout.Task) (made, error) {
	var m made
	for _, p := range t.Prepared {
		if p.Uses != SnapshotName {
			continue
		}
		var set []snapped
		if err := json.Unmarshal([]byte(p.Facts[factSet]), &set); err != nil {
			return m, fmt.Errorf("read the baseline's set of snapshots: %w", err)
		}
		at, err := time.Parse(time.RFC3339, p.Facts[factMadeAt])
		if err != nil {
			return m, fmt.Errorf("read when the snapshots were made: %w", err)
		}
		if m.At.IsZero() || at.Before(m.At) {
			m.At = at
		}
		m.Kernel = p.Facts[factKernel]
		m.Set = append(m.Set, set...)
	}
	for _, s := range m.Set {
		if !volumeName.MatchString(s.Volume) || !volumeName.MatchString(s.Snapshot) || !uuidText.MatchString(s.UUID) || !uuidText.MatchString(s.Origin) {
			return m, fmt.Errorf("the baseline's set of snapshots is not one: %+v", s)
		}
	}
	return m, nil
}

// Tags of LVM. They are stored beside the volumes, so no merge takes them back.
func tagOf(changeID string) string { return "backout.change=" + changeID }

// mergeTag is put on the origin before its snapshot is merged.
func mergeTag(changeID, uuid, boot string) string {
	return mergePrefix(changeID) + uuid + "/" + boot
}

// mergePrefix is how the tags of a change's merges begin.
func mergePrefix(changeID string) string { return "backout.merge=" + changeID + "/" }

// mergeBoot is the boot in which the merge of the snapshot was ordered.
func mergeBoot(origin lv, uuid string) (boot string, ordered bool) {
	for _, tag := range strings.Split(origin.Tags, ",") {
		if f := strings.Split(tag, "/"); len(f) == 3 && strings.HasPrefix(f[0], "backout.merge=") && f[1] == uuid {
			return f[2], true
		}
	}
	return "", false
}

// snapshotName is what the snapshot of a volume is called for a change. The dot
// keeps it clear of the names that LVM keeps for itself, such as "_tdata".
func snapshotName(changeID, volume string) string {
	_, name, _ := strings.Cut(volume, "/")
	return "backout_" + changeID + "." + name
}

// Names that LVM refuses wherever they stand.
var reserved = regexp.MustCompile(`_(c|t|v)data|_(c|t|i)meta|_(c|v|wc)orig|_mlog|_mimage|_pmspare|_rimage|_rmeta|_vorigin|_imeta`)

// changeName refuses ids of changes that cannot be in the names and tags of LVM.
func changeName(changeID string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$`).MatchString(changeID) || reserved.MatchString(changeID) {
		return fmt.Errorf("change id %q cannot be part of a name in LVM", changeID)
	}
	return nil
}

// standing is how far a volume of the set is on its way back.
type standing struct {
	state  backout.ProbeState
	detail string
	// snapshot is there while the merge has not ended.
	snapshot lv
}

// stand looks at one volume by uuid, tag and markers.
func (r *report) stand(s snapped) standing {
	origin, ok := r.byUUID(s.Origin)
	if !ok {
		return standing{state: backout.ProbeBroken, detail: fmt.Sprintf("%s is not the volume that was snapshotted: nothing here has uuid %s", s.Volume, s.Origin)}
	}
	boot, ordered := mergeBoot(origin, s.UUID)
	snapshot, there := r.byUUID(s.UUID)
	if !there {
		return r.gone(s, ordered)
	}
	is := func(state backout.ProbeState, format string, args ...any) standing {
		return standing{state: state, detail: fmt.Sprintf(format, args...), snapshot: snapshot}
	}
	switch {
	case snapshot.mergeFailed() || origin.mergeFailed():
		return is(backout.ProbeBroken, "the merge of %s has failed", s.Snapshot)
	case snapshot.merging() && (boot == r.Boot || boot == "") && origin.open():
		return is(backout.ProbePendingReboot, "the merge of %s into %s is scheduled: the next boot does it", s.Snapshot, s.Volume)
	case snapshot.merging():
		return is(backout.ProbeInProgress, "%s is being merged into %s", s.Snapshot, s.Volume)
	case snapshot.invalid():
		return is(backout.ProbeBroken, "snapshot %s is invalid: it was full, and cannot be merged any more", s.Snapshot)
	}
	return is(backout.ProbeNotDone, "snapshot %s is not merged", s.Snapshot)
}

// gone judges a volume whose snapshot is not there: merged, or never to come back.
func (r *report) gone(s snapped, ordered bool) standing {
	pre, post := r.Markers["pre "+s.Mount], r.Markers["post "+s.Mount]
	switch {
	case !ordered:
		return standing{state: backout.ProbeBroken, detail: fmt.Sprintf("snapshot %s is gone, and nobody has merged it", s.Snapshot)}
	case s.Mount != "" && post:
		return standing{state: backout.ProbeBroken, detail: fmt.Sprintf("snapshot %s is gone, but %s has what was written after it: it was removed, not merged", s.Snapshot, s.Mount)}
	case s.Mount != "" && !pre:
		return standing{state: backout.ProbeUnknown, detail: fmt.Sprintf("snapshot %s is gone, and %s has no marker of before it: is %s mounted there?", s.Snapshot, s.Mount, s.Volume)}
	}
	return standing{state: backout.ProbeDone, detail: s.Volume + " is as its snapshot was"}
}

// percent reads a share as lvs writes it.
func percent(s string) (float64, bool) {
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
