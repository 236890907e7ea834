package lvm

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

const (
	rootUUID = "0XqNhX-WKNi-Kltf-go0S-yKz3-rCv4-nqleEk"
	snapUUID = "VKdBCm-Kc3G-JVdF-L1qq-tYac-3K6i-JUPIrY"
)

// TestStand: lv_merging, uuid, tag and markers together say how far a volume is; the
// snapshot's absence alone says nothing.
func TestStand(t *testing.T) {
	s := snapped{Volume: "vg0/root", Origin: rootUUID, Snapshot: "vg0/backout_CHG1.root", UUID: snapUUID, Mount: "/"}
	origin := func(attr, open, tags string) lv {
		return lv{VG: "vg0", Name: "root", UUID: rootUUID, Attr: attr, Open: open, Tags: tags, Failed: "unknown", Invalid: "unknown"}
	}
	snapshot := func(attr, merging string) lv {
		return lv{VG: "vg0", Name: "backout_CHG1.root", UUID: snapUUID, OriginID: rootUUID, Attr: attr, Merging: merging, Tags: "backout.change=CHG1"}
	}
	ordered := mergeTag("CHG1", snapUUID, "boot1")
	for name, tt := range map[string]struct {
		boot    string
		lvs     []lv
		markers string
		want    backout.ProbeState
		says    string
	}{
		"not merged":                    {"boot1", []lv{origin("owi-aos---", "open", ""), snapshot("swi-a-s---", "")}, "pre post", backout.ProbeNotDone, "is not merged"},
		"invalid":                       {"boot1", []lv{origin("owi-aos---", "open", ""), snapshot("swi-I-s---", "")}, "pre post", backout.ProbeBroken, "it was full"},
		"scheduled":                     {"boot1", []lv{origin("Owi-aos---", "open", ordered), snapshot("Swi-a-s---", "merging")}, "pre post", backout.ProbePendingReboot, "the next boot does it"},
		"scheduled by somebody":         {"boot1", []lv{origin("Owi-aos---", "open", ""), snapshot("Swi-a-s---", "merging")}, "pre post", backout.ProbePendingReboot, "the next boot does it"},
		"merging after the reboot":      {"boot2", []lv{origin("Owi-aos---", "open", ordered), snapshot("Swi-aos---", "merging")}, "pre", backout.ProbeInProgress, "is being merged"},
		"merging a volume not in use":   {"boot1", []lv{origin("Owi-a-s---", "", ordered), snapshot("Swi-a-s---", "merging")}, "", backout.ProbeInProgress, "is being merged"},
		"the merge failed":              {"boot2", []lv{origin("Owi-mos---", "open", ordered), snapshot("Swi-a-s---", "merging")}, "pre", backout.ProbeBroken, "has failed"},
		"merged":                        {"boot2", []lv{origin("-wi-ao----", "open", ordered)}, "pre", backout.ProbeDone, "as its snapshot was"},
		"never made, or removed":        {"boot2", []lv{origin("-wi-ao----", "open", "")}, "pre post", backout.ProbeBroken, "nobody has merged it"},
		"removed after the order":       {"boot1", []lv{origin("-wi-ao----", "open", ordered)}, "pre post", backout.ProbeBroken, "removed, not merged"},
		"another file system is there":  {"boot2", []lv{origin("-wi-ao----", "open", ordered)}, "", backout.ProbeUnknown, "no marker"},
		"rebuilt volume of the name":    {"boot2", []lv{{VG: "vg0", Name: "root", UUID: "other", Attr: "-wi-ao----"}}, "", backout.ProbeBroken, "not the volume that was snapshotted"},
		"another snapshot of the name":  {"boot1", []lv{origin("owi-aos---", "open", ""), {VG: "vg0", Name: "backout_CHG1.root", UUID: "other", OriginID: rootUUID, Attr: "swi-a-s---"}}, "pre post", backout.ProbeBroken, "is gone"},
		"the order was for another one": {"boot2", []lv{origin("-wi-ao----", "open", mergeTag("CHG1", "other", "boot1"))}, "pre", backout.ProbeBroken, "nobody has merged it"},
	} {
		r := &report{Boot: tt.boot, LVs: tt.lvs, Markers: map[string]bool{}}
		for _, m := range strings.Fields(tt.markers) {
			r.Markers[m+" /"] = true
		}
		if got := r.stand(s); got.state != tt.want || !strings.Contains(got.detail, tt.says) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got.state, got.detail, tt.want, tt.says)
		}
	}
}

// A merge that is scheduled is what lvm.merge is to bring about, and is not what
// lvm.finish is.
func TestScheduledIsDoneForMergeOnly(t *testing.T) {
	r := &report{Boot: "boot1", Markers: map[string]bool{"pre /": true, "post /": true}, LVs: []lv{
		{VG: "vg0", Name: "root", UUID: rootUUID, Attr: "Owi-aos---", Open: "open", Tags: mergeTag("CHG1", snapUUID, "boot1")},
		{VG: "vg0", Name: "backout_CHG1.root", UUID: snapUUID, OriginID: rootUUID, Attr: "Swi-a-s---", Merging: "merging"},
	}}
	m := made{Set: []snapped{{Volume: "vg0/root", Origin: rootUUID, Snapshot: "vg0/backout_CHG1.root", UUID: snapUUID, Mount: "/"}}}
	if p := ordered(r, m); p.State != backout.ProbeDone || !strings.Contains(p.Detail, "reboot it now") {
		t.Errorf("merge: %+v", p)
	}
	if p := finished(r, m); p.State != backout.ProbePendingReboot {
		t.Errorf("finish: %+v", p)
	}
}

// The worst volume of a set counts: one that is lost is not hidden by one that is done.
func TestTheWorstVolumeCounts(t *testing.T) {
	states := []backout.ProbeState{
		backout.ProbeDone, backout.ProbeInProgress, backout.ProbePendingReboot, backout.ProbeNotDone, backout.ProbeUnknown, backout.ProbeBroken,
	}
	for i, a := range states {
		for j, b := range states {
			if got := worse(a, b); got != states[max(i, j)] {
				t.Errorf("%s and %s: %s", a, b, got)
			}
		}
	}
}

func TestNames(t *testing.T) {
	if got := snapshotName("CHG1", "vg0/tdata"); got != "backout_CHG1.tdata" || reserved.MatchString(got) {
		t.Errorf("%s is a name that LVM keeps for itself", got)
	}
	for id, good := range map[string]bool{"CHG0030001": true, "a.b-c": true, "": false, "-x": false, "a b": false, "CHG_tdata": false, "a;b": false, "é": false} {
		if err := changeName(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}
