package lvm

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// setOf is the set of the change as the recorded look has it. Volumes whose snapshot
// is gone are found by the tag of the merge.
func setOf(t *testing.T, r *report, names ...string) []snapped {
	t.Helper()
	var out []snapped
	for _, name := range names {
		origin, ok := r.byName(name)
		if !ok {
			t.Fatalf("no volume %s", name)
		}
		s := snapped{Volume: name, Origin: origin.UUID, Snapshot: "vg0/" + snapshotName("CHG1", name), Mount: r.mountOf(origin), Thin: origin.thin()}
		for _, snapshot := range r.snapshotsOf(origin) {
			s.UUID, s.Snapshot = snapshot.UUID, snapshot.full()
		}
		for _, tag := range strings.Split(origin.Tags, ",") {
			if f := strings.Split(tag, "/"); len(f) == 3 && s.UUID == "" {
				s.UUID = f[1]
			}
		}
		out = append(out, s)
	}
	return out
}

func TestPreflightBeforeTheWindow(t *testing.T) {
	const root = `{"volumes": ["vg0/root"]}`
	fresh := golden(t, "fresh")
	r := read(t, fresh)
	data, _ := r.byName("vg0/data")
	pool, _ := r.byName("vg0/pool")
	mounted := func(point, device, source string) string {
		return golden(t, "fresh", "\n=backout swaps", "90 24 "+device+" / "+point+" rw,relatime - ext4 "+source+" rw\n\n=backout swaps")
	}
	for name, tt := range map[string]struct {
		section, answer string
		want            []string
	}{
		"good":                                  {root, fresh, nil},
		"var goes with root":                    {`{"volumes": ["vg0/data"]}`, mounted("/var", data.device(), "/dev/mapper/vg0-data"), []string{"set: / belongs to the system but is not in the set (vg0/root)"}},
		"no such volume":                        {`{"volumes": ["vg0/root", "vg0/usr"]}`, fresh, []string{"there is no volume vg0/usr"}},
		"swap":                                  {`{"volumes": ["vg0/root", "vg0/data"]}`, golden(t, "fresh", "=backout swaps\n", "=backout swaps\n/dev/dm-"+data.Minor+"\n"), []string{"vg0/data is swap"}},
		"a pool":                                {`{"volumes": ["vg0/root", "vg0/pool"]}`, fresh, []string{"is of a kind that is not snapshotted"}},
		"var is not in the set":                 {root, mounted("/var", data.device(), "/dev/mapper/vg0-data"), []string{"set: /var belongs to the system but is not in the set (vg0/data)"}},
		"var is left out on purpose":            {`{"volumes": ["vg0/root"], "without": ["vg0/data"]}`, mounted("/var", data.device(), "/dev/mapper/vg0-data"), nil},
		"usr is not on LVM":                     {root, mounted("/usr", "8:2", "/dev/sda2"), []string{"/usr belongs to the system but is not on LVM (/dev/sda2)"}},
		"usr is left out on purpose":            {`{"volumes": ["vg0/root"], "without": ["/usr"]}`, mounted("/usr", "8:2", "/dev/sda2"), nil},
		"home is nobody's system":               {root, mounted("/home", "8:2", "/dev/sda2"), nil},
		"the initramfs has no dm-snapshot":      {root, golden(t, "fresh", "initramfs=yes", "initramfs=initramfs-tools"), []string{"initramfs: the initramfs of 6.1"}},
		"nor that of dracut":                    {root, golden(t, "fresh", "initramfs=yes", "initramfs=dracut"), []string{"initramfs: the initramfs of 6.1"}},
		"the initramfs cannot be seen":          {root, golden(t, "fresh", "initramfs=yes", "initramfs=unknown"), []string{"cannot be seen"}},
		"the default kernel is another":         {root, golden(t, "fresh", "default=/vmlinuz-6.1", "default=/vmlinuz-6.2"), []string{"boot: the next boot takes /vmlinuz-6.2"}},
		"the default kernel is not known":       {root, golden(t, "fresh", "default=/vmlinuz-", "nothing=/vmlinuz-"), []string{"boot: which kernel"}},
		"the boot is looked after by others":    {`{"volumes": ["vg0/root"], "unchecked_boot": true}`, golden(t, "fresh", "initramfs=yes", "initramfs=unknown", "default=/vmlinuz-", "nothing=/vmlinuz-"), nil},
		"the data of the thin pool is full":     {`{"volumes": ["vg0/thin"]}`, golden(t, "fresh", `"data_percent":"`+pool.Data+`"`, `"data_percent":"81.50"`), []string{"data of thin pool vg0/pool is 82 % full"}},
		"the metadata of the thin pool is full": {`{"volumes": ["vg0/thin"]}`, golden(t, "fresh", `"metadata_percent":"`+pool.Metadata+`"`, `"metadata_percent":"95.00"`), []string{"metadata of thin pool vg0/pool is 95 % full"}},
	} {
		want(t, name, preflight(t, SnapshotName, tt.section, task(SnapshotName), tt.answer), tt.want...)
	}
	want(t, "no room", preflight(t, SnapshotName, root, task(SnapshotName), fullGroup(t, "fresh")), "space: the snapshots need")
	want(t, "a stale one makes room", preflight(t, SnapshotName, `{"volumes": ["vg0/root", "vg0/data"], "size": "20%ORIGIN"}`, task(SnapshotName), fullGroup(t, "made")))
}

// fullGroup is a recorded look at a group with nothing free.
func fullGroup(t *testing.T, name string) string {
	t.Helper()
	text := golden(t, name)
	_, free, _ := strings.Cut(text, `"vg_free":"`)
	free, _, _ = strings.Cut(free, `"`)
	return strings.ReplaceAll(text, `"vg_free":"`+free+`"`, `"vg_free":"0"`)
}

// A snapshot of another change, or of nobody knows what, is told and never touched.
func TestPreflightFindsOtherSnapshots(t *testing.T) {
	tk := task(SnapshotName)
	tk.ChangeID = "CHG10" // whose tag begins as that of CHG1 does
	section := `{"volumes": ["vg0/root", "vg0/data"]}`
	want(t, "another change", preflight(t, SnapshotName, section, tk, golden(t, "made")), "for another change (backout.change=CHG1)", "for another change")
	want(t, "somebody's", preflight(t, SnapshotName, section, tk, golden(t, "made", "backout.change=CHG1", "mine")), "has another snapshot", "has another snapshot")
	want(t, "the name is taken", preflight(t, SnapshotName, section, task(SnapshotName), golden(t, "made", "backout.change=CHG1", "mine")),
		"has another snapshot", "is taken", "has another snapshot", "is taken")
	want(t, "a merge", preflight(t, SnapshotName, `{"volumes": ["vg0/root"]}`, tk, golden(t, "scheduled")), "has a merge under way or scheduled")
	want(t, "its own of before", preflight(t, SnapshotName, section, task(SnapshotName), golden(t, "made")))
}

// While the window is open the way back is looked at again and again.
func TestReadiness(t *testing.T) {
	made := read(t, golden(t, "made"))
	root := setOf(t, made, "vg0/root")
	snapshot, _ := made.byUUID(root[0].UUID)
	used := func(percent string) string {
		return golden(t, "made", `"snap_percent":"`+snapshot.Snap+`"`, `"snap_percent":"`+percent+`"`)
	}
	for name, tt := range map[string]struct {
		section, answer string
		want            []string
	}{
		"good":                    {`{}`, golden(t, "made"), nil},
		"69 %":                    {`{}`, used("69.90"), nil},
		"filling up":              {`{}`, used("72.00"), []string{"is filling up: 72 %"}},
		"nearly full":             {`{}`, used("91.00"), []string{"is 91 % full and lost at 100 %"}},
		"another limit":           {`{"max_used": 50}`, used("55.00"), []string{"filling up"}},
		"unreadable":              {`{}`, used(""), []string{"cannot be read"}},
		"invalid":                 {`{}`, golden(t, "made", `"lv_attr":"`+snapshot.Attr+`"`, `"lv_attr":"swi-I-s---"`), []string{"is invalid: it was full"}},
		"removed":                 {`{}`, golden(t, "made", root[0].UUID, "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"), []string{"is gone, and nobody has merged it"}},
		"rebuilt":                 {`{}`, golden(t, "made", root[0].Origin, "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"), []string{"is not the volume that was snapshotted"}},
		"the patch has a kernel":  {`{}`, golden(t, "made", "default=/vmlinuz-6.1", "default=/vmlinuz-6.2"), []string{"boot: the next boot takes /vmlinuz-6.2"}},
		"grubby takes the kernel": {`{}`, golden(t, "made", "default=/vmlinuz-6.1", "grubby=yes\ndefault=/vmlinuz-6.2"), nil},
	} {
		want(t, name, preflight(t, MergeName, tt.section, task(MergeName, prepared(t, root...)), tt.answer), tt.want...)
	}
	unchecked := prepared(t, root...)
	unchecked.Facts[factKernel] = ""
	want(t, "the boot is looked after by others", preflight(t, MergeName, `{}`, task(MergeName, unchecked), golden(t, "made", "default=/vmlinuz-6.1", "default=/vmlinuz-6.2")))
	scheduled := golden(t, "scheduled")
	want(t, "merge already scheduled", preflight(t, MergeName, `{}`, task(MergeName, prepared(t, setOf(t, read(t, scheduled), "vg0/root")...)), scheduled),
		"the next boot takes the volume back, whatever made it boot")
}

// TestRecordedMerge: a merge from its order to its end, as a real target tells it.
func TestRecordedMerge(t *testing.T) {
	for _, tt := range []struct {
		look, kind string
		volumes    []string
		want       backout.ProbeState
	}{
		{"made", MergeName, []string{"vg0/root", "vg0/data"}, backout.ProbeNotDone},
		{"scheduled", MergeName, []string{"vg0/root", "vg0/data"}, backout.ProbeDone},
		{"scheduled", FinishName, []string{"vg0/root", "vg0/data"}, backout.ProbePendingReboot},
		{"scheduled", FinishName, []string{"vg0/data"}, backout.ProbeDone},
		{"merging", FinishName, []string{"vg0/root", "vg0/data"}, backout.ProbeInProgress},
		{"merged", FinishName, []string{"vg0/root", "vg0/data"}, backout.ProbeDone},
		{"invalid", MergeName, []string{"vg0/small"}, backout.ProbeBroken},
		{"thin", MergeName, []string{"vg0/thin"}, backout.ProbeNotDone},
	} {
		answer := golden(t, tt.look)
		e := map[string]backout.Prober{MergeName: Merge{}, FinishName: Finish{}}[tt.kind]
		p, err := e.Probe(t.Context(), task(tt.kind, prepared(t, setOf(t, read(t, answer), tt.volumes...)...)), &scripted{t: t, answers: []string{answer}})
		if err != nil || p.State != tt.want || p.Detail == "" {
			t.Errorf("%s of %s with %v: %+v %v, want %s", tt.kind, tt.look, tt.volumes, p, err, tt.want)
		}
	}
}
