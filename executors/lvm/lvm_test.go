package lvm

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/executorstest"
)

// scripted is a target that answers each look with the next text, and each attempt
// with an exit code and output.
type scripted struct {
	backout.Host
	t       *testing.T
	answers []string
	argv    []string // of the attempt
	code    int
	says    string
}

// Run implements [backout.Host].
func (s *scripted) Run(_ context.Context, e backout.Exec) (backout.ExecResult, error) {
	if len(s.answers) == 0 {
		s.t.Fatalf("one look too many: %v", e.Argv)
	}
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return backout.ExecResult{Stdout: []byte(a)}, nil
}

// golden is a look at a real target, recorded in a guest with lvm2 2.03.16, with texts
// replaced in pairs.
func golden(t *testing.T, name string, replace ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i+1 < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s has no %q", name, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

func read(t *testing.T, text string) *report {
	t.Helper()
	r, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func kindOf(t *testing.T, name string) executors.Kind {
	t.Helper()
	for _, k := range Kinds() {
		if k.KindName() == name {
			return k
		}
	}
	t.Fatalf("no kind %s", name)
	return executors.Kind{}
}

func task(kind string, prepared ...backout.Prepared) backout.Task {
	return backout.Task{
		AttemptID: "CHG1-b1.B.s1.t1", ChangeID: "CHG1", Step: backout.Step{Uses: kind}, Target: backout.Target{Name: "web1"}, Prepared: prepared,
		WindowFor: backout.Duration(4 * time.Hour),
	}
}

// prepared is the set that the golden texts have.
func prepared(t *testing.T, set ...snapped) backout.Prepared {
	t.Helper()
	facts, err := made{At: time.Date(2026, 11, 26, 18, 0, 0, 0, time.UTC), Kernel: "6.1.0-56-cloud-amd64", Set: set}.facts()
	if err != nil {
		t.Fatal(err)
	}
	return backout.Prepared{Uses: SnapshotName, Facts: facts}
}

func preflight(t *testing.T, kind, section string, tk backout.Task, answer string) []string {
	t.Helper()
	p := executorstest.Build(t, kindOf(t, kind), section).(backout.Preflighter)
	var out []string
	for _, v := range p.Preflight(t.Context(), tk, &scripted{t: t, answers: []string{answer}}) {
		if v.Check == "" || v.Fix == "" {
			t.Errorf("no check or fix: %+v", v)
		}
		out = append(out, v.Check+": "+v.Reason)
	}
	return out
}

// want compares reasons by a part of each.
func want(t *testing.T, name string, got []string, parts ...string) {
	t.Helper()
	if len(got) != len(parts) {
		t.Errorf("%s: %q, want %q", name, got, parts)
		return
	}
	for i, g := range got {
		if !strings.Contains(g, parts[i]) {
			t.Errorf("%s: %q, want %q", name, g, parts[i])
		}
	}
}

func TestSections(t *testing.T) {
	for _, tt := range []struct{ kind, section, want string }{
		{SnapshotName, `{}`, "volumes is empty"},
		{SnapshotName, `{"volumes": ["root"]}`, "write it as vg/lv"},
		{SnapshotName, `{"volumes": ["-vg/root"]}`, "write it as vg/lv"},
		{SnapshotName, `{"volumes": ["vg/root; reboot"]}`, "write it as vg/lv"},
		{SnapshotName, `{"volumes": ["vg/root", "vg/root"]}`, "twice"},
		{SnapshotName, `{"volumes": ["vg/root"], "size": "20%"}`, "is not a size"},
		{SnapshotName, `{"volumes": ["vg/root"], "size": "500%ORIGIN"}`, "more than a snapshot can ever hold"},
		{SnapshotName, `{"volumes": ["vg/root"], "without": ["x"]}`, "neither a volume"},
		{MergeName, `{"max_used": 100}`, "1 to 99"},
		{FinishName, `{"wait": "-1s"}`, "negative"},
	} {
		_, err := kindOf(t, tt.kind).Decode(func(into any) error {
			d := json.NewDecoder(strings.NewReader(tt.section))
			d.DisallowUnknownFields()
			return d.Decode(into)
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v, want %q", tt.kind, tt.section, err, tt.want)
		}
	}
	if k := kindOf(t, MergeName); !k.Destructive || k.Loses == "" {
		t.Error("a merge loses data")
	}
}

func TestSizes(t *testing.T) {
	r := &report{VGs: map[string]vg{"vg": {Free: 1 << 40, Extent: 4 << 20}}, Written: map[string]int64{"253:0": 36 << 30}, Uptime: 36 * time.Hour}
	origin := lv{VG: "vg", Name: "root", Size: "10737418240", Major: "253", Minor: "0"}
	for _, tt := range []struct {
		size   string
		window time.Duration
		want   int64
	}{
		{"", 0, 2 << 30},             // a fifth
		{"auto", time.Hour, 2 << 30}, // 1 GiB an hour is less
		{"auto", 4 * time.Hour, 4 << 30},
		{"auto", 100 * time.Hour, 10<<30 + 10<<30/50/(4<<20)*(4<<20) + 8<<20}, // never more than the whole
		{"20%ORIGIN", 100 * time.Hour, 2 << 30},
		{"5G", 0, 5 << 30},
		{"5M", 0, 8 << 20}, // whole extents
		{"105%ORIGIN", 0, 10<<30 + 10<<30/50/(4<<20)*(4<<20) + 8<<20},
	} {
		if got := (SnapshotConfig{Size: tt.size}).size(r, origin, tt.window); got != tt.want {
			t.Errorf("%q for %s: %d, want %d", tt.size, tt.window, got, tt.want)
		}
	}
}

// An answer that is not whole, or not understood, is an error that names the tool.
func TestUnreadableAnswers(t *testing.T) {
	whole := golden(t, "fresh")
	for name, tt := range map[string]struct{ text, want string }{
		"cut":     {whole[:len(whole)/2], "not whole"},
		"empty":   {"", "not whole"},
		"no lvm":  {"\n=backout missing\n", "lvm2 is not installed"},
		"failed":  {"\n=backout failed\nlvs: no\n", "lvs: no"},
		"no JSON": {golden(t, "fresh", `"report"`, `report`), "a form that is not known"},
		"no uuid": {golden(t, "fresh", `"lv_uuid"`, `"uuid"`), "without name, group, uuid"},
	} {
		if _, err := parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	h := &scripted{t: t, answers: []string{golden(t, "fresh", `"report"`, `report`), "  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02\n"}}
	if _, err := look(t.Context(), h, "CHG1", onlyLVM); err == nil || !strings.Contains(err.Error(), "read lvs of LVM 2.03.16(2) (2022-05-18): ") {
		t.Errorf("the tool and its version are not named: %v", err)
	}
	want(t, "preflight", preflight(t, SnapshotName, `{"volumes": ["vg0/root"]}`, task(SnapshotName), "\n=backout missing\n"), "lvm: lvm2 is not installed")
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "fresh.txt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(text)
		if err != nil {
			return
		}
		for _, v := range r.LVs {
			_ = v.invalid() || v.mergeFailed() || v.merging()
		}
	})
}

func TestFactsComeBack(t *testing.T) {
	set := []snapped{{Volume: "vg0/root", Origin: "0XqNhX-WKNi-Kltf-go0S-yKz3-rCv4-nqleEk", Snapshot: "vg0/backout_CHG1.root", UUID: "VKdBCm-Kc3G-JVdF-L1qq-tYac-3K6i-JUPIrY", Mount: "/"}}
	m, err := madeFor(task(MergeName, prepared(t, set...), backout.Prepared{Uses: "dnf.undo"}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(set, m.Set); diff != "" {
		t.Error(diff)
	}
	for _, hostile := range []string{"vg0/root; reboot", "-a/b"} {
		set[0].Snapshot = hostile
		if _, err := madeFor(task(MergeName, prepared(t, set...))); err == nil {
			t.Errorf("%q was taken for a volume", hostile)
		}
	}
}

// A snapshot of after the patch would have the patch in it.
func TestNoSnapshotAfterThePatch(t *testing.T) {
	for name, tk := range map[string]backout.Task{
		"opened":   {ChangeID: "CHG1", Opened: true},
		"delta":    {ChangeID: "CHG1", Delta: &backout.Delta{}},
		"rollback": {ChangeID: "CHG1", RollbackID: "CHG1-r1"},
	} {
		_, err := Snapshot{}.Execute(t.Context(), tk, &scripted{t: t}, t.Output())
		if !backout.IsPermanent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMergeWithoutASet(t *testing.T) {
	m := Merge{}
	if _, err := m.Execute(t.Context(), task(MergeName), &scripted{t: t}, t.Output()); !errors.Is(err, errNoSet) || !backout.IsPermanent(err) {
		t.Errorf("execute: %v", err)
	}
	want(t, "before the window", preflight(t, MergeName, `{}`, task(MergeName), golden(t, "fresh")))
	want(t, "no lvm", preflight(t, MergeName, `{}`, task(MergeName), "\n=backout missing\n"), "lvm2 is not installed")
	open := task(MergeName, backout.Prepared{Uses: "dnf.undo"})
	open.Opened = true
	want(t, "open", preflight(t, MergeName, `{}`, open, golden(t, "fresh")), "baseline has no snapshots")
}

func TestLoses(t *testing.T) {
	p := prepared(t, snapped{Volume: "vg0/root", Origin: "0XqNhX-WKNi-Kltf-go0S-yKz3-rCv4-nqleEk", Snapshot: "vg0/backout_CHG1.root", UUID: "VKdBCm-Kc3G-JVdF-L1qq-tYac-3K6i-JUPIrY"})
	got, err := Merge{}.Loses(t.Context(), task(MergeName, p), nil)
	if err != nil || !strings.HasPrefix(got, "data written since 2026-11-26T18:00Z (") || !strings.HasSuffix(got, " ago) on vg0/root") {
		t.Errorf("%q %v", got, err)
	}
	if got, err := (Merge{}).Loses(t.Context(), task(MergeName), nil); err != nil || got == "" {
		t.Errorf("before the window: %q %v", got, err)
	}
}
