package lvm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// volume is one volume that is to be snapshotted.
type volume struct {
	name     string
	origin   lv
	mount    string
	size     int64 // of the snapshot; 0 when thin
	snapshot string
	stale    *lv // what the same change has left from before
}

// size is the room that a snapshot of the volume needs: what is configured, or the
// larger of a fifth of it and what it writes in the time at its pace since boot. More
// than the whole volume is never needed.
func (c SnapshotConfig) size(r *report, origin lv, window time.Duration) int64 {
	want, _ := c.wanted(origin.bytes())
	if want == 0 {
		want = origin.bytes() / 5
		if written := r.Written[origin.device()]; r.Uptime > 0 && window > 0 {
			want = max(want, int64(float64(written)/r.Uptime.Seconds()*window.Seconds()))
		}
	}
	extent := max(r.VGs[origin.VG].Extent, 1)
	most := origin.bytes() + origin.bytes()/50 + extent
	want = min(want, most)
	return (want + extent - 1) / extent * extent
}

// violations are gathered for one step.
type violations []backout.Violation

func (v *violations) no(check, fix, format string, args ...any) {
	*v = append(*v, backout.Violation{Check: check, Reason: fmt.Sprintf(format, args...), Fix: fix})
}

// plan finds the volumes of the set, and what speaks against snapshotting them.
func (c SnapshotConfig) plan(r *report, t backout.Task) ([]volume, []backout.Violation) {
	var out []volume
	var no violations
	if err := changeName(t.ChangeID); err != nil {
		no.no("change", "call the change otherwise", "%v", err)
		return nil, no
	}
	for _, name := range c.Volumes {
		origin, ok := r.byName(name)
		if !ok {
			no.no("volume", "correct volumes of the step; lvs shows what there is", "there is no volume %s", name)
			continue
		}
		if reason := unfit(r, origin); reason != "" {
			no.no("volume", "leave it out of volumes", "%s %s", name, reason)
			continue
		}
		v := volume{name: name, origin: origin, mount: r.mountOf(origin), snapshot: origin.VG + "/" + snapshotName(t.ChangeID, name)}
		if !origin.thin() {
			v.size = c.size(r, origin, time.Duration(t.WindowFor))
		}
		for _, s := range r.snapshotsOf(origin) {
			switch {
			case s.merging():
				no.no("snapshot", "let that merge end: reboot, then vgchange --poll y "+s.VG, "snapshot %s is being merged into %s", s.full(), name)
			case s.tagged(tagOf(t.ChangeID)) && s.full() == v.snapshot:
				v.stale = &s
			case strings.Contains(s.Tags, "backout.change=") && !s.thin():
				no.no("snapshot", "end that change first", "%s is a snapshot of %s for another change (%s)", s.full(), name, s.Tags)
			case !s.thin():
				no.no("snapshot", "remove it, or end what it is for: every snapshot makes each write slower", "%s has another snapshot, %s", name, s.full())
			}
		}
		if other, ok := r.byName(v.snapshot); ok && v.stale == nil {
			no.no("snapshot", "rename or remove it", "the name %s is taken by a volume that is not of this change (uuid %s)", v.snapshot, other.UUID)
		}
		out = append(out, v)
	}
	c.room(r, out, &no)
	c.whole(r, out, &no)
	return out, no
}

// unfit says why a volume cannot be snapshotted; empty when it can.
func unfit(r *report, v lv) string {
	if slices.Contains(r.Swaps, "/dev/dm-"+v.Minor) || slices.Contains(r.Swaps, "/dev/mapper/"+strings.ReplaceAll(v.VG, "-", "--")+"-"+strings.ReplaceAll(v.Name, "-", "--")) {
		return "is swap, which no rollback wants back"
	}
	switch {
	case v.OriginID != "" && !v.thin():
		return "is itself a snapshot"
	case strings.HasPrefix(v.Attr, "O"):
		return "has a merge under way or scheduled"
	case !strings.ContainsAny(v.Attr[:1], "-oVCrRmM"):
		return fmt.Sprintf("is of a kind that is not snapshotted (lv_attr %s)", v.Attr)
	case !strings.HasPrefix(v.Active, "active"):
		return "is not active"
	}
	return ""
}

// poolLimit is how full a thin pool may be before it is relied on.
const poolLimit = 80

// room checks that the snapshots fit: into the free space of the groups, or into the
// thin pools.
func (c SnapshotConfig) room(r *report, volumes []volume, no *violations) {
	need, has := map[string]int64{}, map[string]int64{}
	for _, v := range volumes {
		has[v.origin.VG] = r.VGs[v.origin.VG].Free
	}
	var groups, pools []string
	for _, v := range volumes {
		if v.origin.thin() {
			if pool := v.origin.VG + "/" + v.origin.Pool; !slices.Contains(pools, pool) {
				pools = append(pools, pool)
			}
			continue
		}
		need[v.origin.VG] += v.size
		if v.stale != nil {
			has[v.origin.VG] += v.stale.bytes()
		}
		if !slices.Contains(groups, v.origin.VG) {
			groups = append(groups, v.origin.VG)
		}
	}
	for _, g := range groups {
		if need[g] > has[g] {
			no.no("space", fmt.Sprintf("extend group %s, or give the step a smaller size", g), "the snapshots need %s in group %s, which has %s free", human(need[g]), g, human(has[g]))
		}
	}
	for _, name := range pools {
		poolRoom(r, name, poolLimit, no)
	}
}

// poolRoom checks how full a thin pool is. A full one fails the writes of every
// volume in it.
func poolRoom(r *report, name string, limit float64, no *violations) {
	pool, ok := r.byName(name)
	data, ok1 := percent(pool.Data)
	metadata, ok2 := percent(pool.Metadata)
	fix := fmt.Sprintf("lvextend %s, or let dmeventd do it (thin_pool_autoextend_threshold)", name)
	switch {
	case !ok || !ok1 || !ok2:
		no.no("thin pool", "look at lvs -a", "how full thin pool %s is cannot be read", name)
	case data >= limit:
		no.no("thin pool", fix, "the data of thin pool %s is %.0f %% full: when it is full, writes to all its volumes fail", name, data)
	case metadata >= limit:
		no.no("thin pool", fix+", with --poolmetadatasize", "the metadata of thin pool %s is %.0f %% full", name, metadata)
	}
}

// systemPoints are where parts of one system are mounted: they only work as they
// are together.
var systemPoints = []string{"/", "/usr", "/var", "/opt", "/etc", "/var/lib", "/usr/local", "/usr/lib", "/var/lib/rpm", "/var/lib/dpkg"}

// whole checks that no part of the system stays as patched while the rest goes back.
func (c SnapshotConfig) whole(r *report, volumes []volume, no *violations) {
	inSet := map[string]bool{}
	system := false
	for _, v := range volumes {
		inSet[v.origin.device()] = true
		system = system || slices.Contains(systemPoints, v.mount)
	}
	if !system {
		return
	}
	for _, m := range r.Mounts {
		if !slices.Contains(systemPoints, m.Point) || inSet[m.Device] || slices.Contains(c.Without, m.Point) || strings.HasPrefix(m.Device, "0:") && m.Point != "/" {
			continue
		}
		name := m.Source
		for _, v := range r.LVs {
			if v.device() == m.Device {
				name = v.full()
			}
		}
		if slices.Contains(c.Without, name) {
			continue
		}
		if !volumeName.MatchString(name) {
			no.no("set", "make it a volume of LVM, or name "+m.Point+" in without", "%s belongs to the system but is not on LVM (%s): it would stay as patched", m.Point, name)
			continue
		}
		no.no("set", "add it to volumes, or name it in without", "%s belongs to the system but is not in the set (%s): it would stay as patched", m.Point, name)
	}
}

// human writes a size as people do.
func human(n int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB"} {
		if size := int64(1) << (40 - 10*i); n >= size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(size), unit)
		}
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
