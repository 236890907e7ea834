package all_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/all"
)

func TestKindsFormARegistry(t *testing.T) {
	r, err := executors.NewRegistry(all.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ansible.playbook", "command", "http.request", "lvm.finish", "lvm.merge", "lvm.snapshot", "system.reboot", "systemd.restart", "systemd.start", "systemd.stop",
	}
	if diff := cmp.Diff(want, r.Names()); diff != "" {
		t.Error(diff)
	}
	for _, k := range r.Kinds() {
		if k.Doc() == "" || k.Config() == nil {
			t.Errorf("%s has no doc or section", k.KindName())
		}
		if k.OnOverdue != backout.OverdueWait && k.OnOverdue != backout.OverdueStop {
			t.Errorf("%s: on overdue %q", k.KindName(), k.OnOverdue)
		}
		if k.Destructive && k.Loses == "" {
			t.Errorf("%s is destructive and does not say what it loses", k.KindName())
		}
	}
}
