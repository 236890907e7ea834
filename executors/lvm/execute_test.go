package lvm

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// Start implements [backout.Host].
func (s *scripted) Start(_ context.Context, _ string, e backout.Exec) error {
	s.argv = e.Argv
	return nil
}

// Attach implements [backout.Host].
func (s *scripted) Attach(_ context.Context, _ string, _ int64, out io.Writer) (backout.AttemptReport, error) {
	_, err := io.WriteString(out, s.says)
	return backout.AttemptReport{State: backout.AttemptFinished, ExitCode: s.code}, err
}

// Probe implements [backout.Host].
func (s *scripted) Probe(context.Context, string) (backout.AttemptReport, error) {
	return backout.AttemptReport{State: backout.AttemptNotStarted}, nil
}

// TestExitCodeOfLvconvert: 0 is no merge, and 5 says why in its words.
func TestExitCodeOfLvconvert(t *testing.T) {
	answer := golden(t, "made")
	set := setOf(t, read(t, answer), "vg0/root")
	h := &scripted{t: t, answers: []string{answer}}
	_, err := Merge{}.Execute(t.Context(), task(MergeName, prepared(t, set...)), h, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "lvconvert ended well, but snapshot vg0/backout_CHG1.root is not merged") {
		t.Errorf("exit code 0: %v", err)
	}
	if want := []string{"CHG1", "6.1.0-56-cloud-amd64", "vg0/root", set[0].Origin, set[0].UUID}; !slices.Equal(h.argv[4:], want) {
		t.Errorf("ran with %q, want %q", h.argv[4:], want)
	}
	h = &scripted{t: t, answers: []string{answer}, code: 5, says: "  Unable to merge invalidated snapshot\n  Command failed\n"}
	_, err = Merge{}.Execute(t.Context(), task(MergeName, prepared(t, set...)), h, io.Discard)
	if err == nil || err.Error() != "exit code 5: Unable to merge invalidated snapshot; Command failed" {
		t.Errorf("exit code 5: %v", err)
	}
}

// TestDelayedMergeNeedsAReboot: "Delaying merge since origin is open" comes with exit
// code 0, and is told as what it is.
func TestDelayedMergeNeedsAReboot(t *testing.T) {
	answer := golden(t, "scheduled")
	p := prepared(t, setOf(t, read(t, answer), "vg0/root", "vg0/data")...)
	h := &scripted{t: t, answers: []string{answer}, says: "  Delaying merge since origin is open.\n"}
	o, err := Merge{}.Execute(t.Context(), task(MergeName, p), h, io.Discard)
	if err != nil || !strings.Contains(o.Summary, "reboot it now") {
		t.Errorf("merge: %+v %v", o, err)
	}
	h.argv = nil
	if _, err := (Finish{}).Execute(t.Context(), task(FinishName, p), h, io.Discard); err == nil || !strings.Contains(err.Error(), "the next boot does it") || h.argv != nil {
		t.Errorf("finish before the reboot: %v, ran %q", err, h.argv)
	}
}

// Without a proof a snapshot is not removed: another one's tag or uuid keeps it.
func TestCleanupTakesOnlyItsOwn(t *testing.T) {
	s := Snapshot{SnapshotConfig{Volumes: []string{"vg0/root", "vg0/data"}}}
	made := golden(t, "made")
	set := setOf(t, read(t, made), "vg0/root", "vg0/data")
	clean := func(answer string, p ...backout.Prepared) []string {
		t.Helper()
		h := &scripted{t: t, answers: []string{answer}}
		if err := s.Cleanup(t.Context(), task(SnapshotName, p...), h, io.Discard); err != nil {
			t.Fatal(err)
		}
		return h.argv[min(len(h.argv), 4):]
	}
	all := []string{"CHG1", "vg0/root", set[0].UUID, "/", "vg0/data", set[1].UUID, ""}
	if got := clean(made); !slices.Equal(got, all) {
		t.Errorf("by its tag: %q, want %q", got, all)
	}
	if got := clean(made, prepared(t, set...)); !slices.Equal(got, all) {
		t.Errorf("by its uuid: %q, want %q", got, all)
	}
	other := slices.Clone(set)
	other[0].UUID = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"
	if got := clean(made, prepared(t, other...)); slices.Contains(got, set[0].UUID) {
		t.Errorf("another uuid: %q", got)
	}
	if got := clean(golden(t, "made", "backout.change=CHG1", "backout.change=CHG12"), prepared(t, set...)); slices.Contains(got, set[0].UUID) || slices.Contains(got, set[1].UUID) {
		t.Errorf("another change's tag: %q", got)
	}
	if got := clean(golden(t, "fresh")); len(got) != 0 {
		t.Errorf("nothing there: %q", got)
	}
}
