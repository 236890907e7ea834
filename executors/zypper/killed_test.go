package zypper_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestKilledInTheMiddleOfTheCommit: the next attempt finds some packages changed
// and some not, and the locks of the one that was killed.
func TestKilledInTheMiddleOfTheCommit(t *testing.T) {
	w := newWorld(t)
	const waits = "%post\ntouch /srv/waiting\nwhile [ ! -e /srv/go ]; do sleep 0.1; done\n"
	w.build(t, pkg{name: "shell", version: "1.0", extra: "Provides: /bin/sh"}, pkg{name: "first", version: "1.0", more: waits}, pkg{name: "second", version: "1.0", extra: "Requires: first = 1.0"},
		pkg{name: "first", version: "2.0"}, pkg{name: "second", version: "2.0", extra: "Requires: first = 2.0"})
	w.publish(t, "shell-1.0", "first-1.0", "second-1.0")
	w.Sh(t, "touch /srv/go; zypper -n install first second; rm /srv/go /srv/waiting")
	w.publish(t, "shell-1.0", "first-1.0", "second-1.0", "first-2.0", "second-2.0")
	w.Sh(t, "zypper -n update")
	back := task("r1.L1.s1.t1.a1")
	back.Delta = delta(change("first", "1.0", "2.0"), change("second", "1.0", "2.0"))
	u := undo(t, `{}`)
	ended := make(chan error, 1)
	go func() {
		_, err := u.Execute(t.Context(), back, w, &bytes.Buffer{})
		ended <- err
	}()
	w.await(t, "[ -e /srv/waiting ]")
	if p, err := u.Probe(t.Context(), back, w); err != nil || p.State != backout.ProbeInProgress {
		t.Errorf("under way: %+v %v", p, err)
	}
	if err := w.Stop(t.Context(), back.AttemptID); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("a killed attempt ended well")
	}
	if got := w.installed(t); got == "first-1.0 second-1.0 shell-1.0" {
		t.Fatal("it was done before it was killed")
	}
	if p, err := u.Probe(t.Context(), back, w); err != nil || p.State != backout.ProbeBroken && p.State != backout.ProbeNotDone {
		t.Errorf("killed: %+v %v", p, err)
	}
	w.Sh(t, "touch /srv/go")
	back.AttemptID = "CHG1-r1.L1.s1.t1.a2"
	var out bytes.Buffer
	if _, err := u.Execute(t.Context(), back, w, &out); err != nil || w.installed(t) != "first-1.0 second-1.0 shell-1.0" {
		t.Errorf("%v, installed is %s\n%s", err, w.installed(t), out.Bytes())
	}
}

// await runs a command in the world until it ends well.
func (w *world) await(t *testing.T, text string) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		r, err := w.Run(t.Context(), backout.Exec{Argv: []string{"sh", "-c", text}})
		if err != nil {
			t.Fatal(err)
		}
		if r.ExitCode == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
