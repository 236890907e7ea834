package hosttest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// Suite is one target, and what [backout.Host] promises of it as tests.
type Suite struct {
	// Host opens the target anew, with connections of its own.
	Host func(t testing.TB) backout.Host
	// Attempts is the directory of attempts on the target.
	Attempts string
	// Work is an empty directory on the target that steps may write to.
	Work string
}

// Run runs the suite and waits for its end. It leaves nothing running on the
// target.
func (s Suite) Run(t *testing.T) { t.Run("promises", s.promises) }

func (s Suite) promises(t *testing.T) {
	for name, test := range map[string]func(*testing.T, Suite, string){
		"FromStartToForget":    fromStartToForget,
		"ManyStartsAreOne":     manyStartsAreOne,
		"EveryTextArrives":     everyTextArrives,
		"ExitCodes":            exitCodes,
		"AttachFromAnOffset":   attachFromAnOffset,
		"AttachEndsAlone":      attachEndsAlone,
		"StopEndsTheGroup":     stopEndsTheGroup,
		"StopBeforeStart":      stopBeforeStart,
		"SupervisorKilled":     supervisorKilled,
		"CutStartIsUnknown":    cutStartIsUnknown,
		"LeftoversAreRemoved":  leftoversAreRemoved,
		"RebootedIsForgotten":  rebootedIsForgotten,
		"WhatItStartedMayStay": whatItStartedMayStay,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s, "suite."+name)
		})
	}
}

// Shell is a command line for sh. Further arguments are names and values of its
// environment.
func Shell(script string, env ...string) backout.Exec {
	e := backout.Exec{Argv: []string{"sh", "-c", script}, Env: map[string]string{}}
	for i := 0; i+1 < len(env); i += 2 {
		e.Env[env[i]] = env[i+1]
	}
	return e
}

// Start starts the attempt; an error fails the test.
func Start(t testing.TB, h backout.Host, id string, e backout.Exec) {
	t.Helper()
	if err := h.Start(t.Context(), id, e); err != nil {
		t.Fatal(err)
	}
}

// Probe probes the attempt; an error fails the test.
func Probe(t testing.TB, h backout.Host, id string) backout.AttemptReport {
	t.Helper()
	r, err := h.Probe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// patience is how long a test waits for what must happen soon.
const patience = time.Minute

// Follow attaches to the attempt until its end and returns its output; an error,
// or an end that does not come, fails the test.
func Follow(t testing.TB, h backout.Host, id string) (backout.AttemptReport, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out bytes.Buffer
	r, err := h.Attach(ctx, id, 0, &out)
	if err != nil {
		t.Fatalf("attach to %s until its end: %v", id, err)
	}
	return r, out.String()
}

// AwaitOutput attaches to the attempt until it has said something.
func AwaitOutput(t testing.TB, h backout.Host, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if r, err := h.Attach(ctx, id, 0, Writer(func([]byte) { cancel() })); !errors.Is(err, context.Canceled) {
		t.Fatalf("attach until its first output: %+v, %v", r, err)
	}
}

// Writer is a function as [io.Writer]; it takes everything.
type Writer func([]byte)

// Write implements [io.Writer].
func (w Writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// Look runs a shell text on the target and returns what it said; an error or an
// exit code other than 0 fails the test.
func Look(t testing.TB, h backout.Host, script string, env ...string) string {
	t.Helper()
	r, err := h.Run(t.Context(), Shell(script, env...))
	if err != nil || r.ExitCode != 0 {
		t.Fatalf("%s: %v, exit code %d: %s", script, err, r.ExitCode, r.Stderr)
	}
	return string(r.Stdout)
}

func exists(t testing.TB, h backout.Host, file string) bool {
	t.Helper()
	return Look(t, h, `[ ! -e "$FILE" ] || echo yes`, "FILE", file) != ""
}

// Finished asserts that the attempt ended with the exit code, in this boot.
func Finished(t testing.TB, r backout.AttemptReport, code int) {
	t.Helper()
	if r.State != backout.AttemptFinished || r.ExitCode != code || r.Boot == "" {
		t.Errorf("%+v, want finished with exit code %d", r, code)
	}
	if since := time.Since(r.FinishedAt); since < -2*time.Second || since > time.Minute {
		t.Errorf("finished %v ago", since)
	}
}
