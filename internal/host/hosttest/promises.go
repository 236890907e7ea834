package hosttest

import (
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/attempt"
)

func fromStartToForget(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	boot, err := h.BootID(t.Context())
	if err != nil || len(boot) != 36 {
		t.Fatalf("boot id %q, %v", boot, err)
	}
	if r := Probe(t, h, id); r != (backout.AttemptReport{State: backout.AttemptNotStarted, Boot: boot}) {
		t.Errorf("before start: %+v", r)
	}
	gate := path.Join(s.Work, id)
	Start(t, h, id, Shell(`echo out; echo err >&2; pwd; until [ -e "$GATE" ]; do sleep 0.05; done; exit 42`, "GATE", gate))
	AwaitOutput(t, h, id)
	for _, other := range []backout.Host{h, s.Host(t)} {
		if r := Probe(t, other, id); r != (backout.AttemptReport{State: backout.AttemptRunning, Boot: boot, ClaimBoot: boot}) {
			t.Errorf("while it runs: %+v", r)
		}
		if err := other.Forget(t.Context(), id); err == nil {
			t.Error("a running attempt was forgotten")
		}
	}
	Look(t, h, `>"$GATE"`, "GATE", gate)
	for _, other := range []backout.Host{h, s.Host(t)} {
		r, out := Follow(t, other, id)
		Finished(t, r, 42)
		if out != "out\nerr\n/\n" || r.Boot != boot || r.ClaimBoot != boot {
			t.Errorf("%q %+v", out, r)
		}
		Finished(t, Probe(t, other, id), 42)
	}
	if err := s.Host(t).Stop(t.Context(), id); err != nil {
		t.Errorf("stop of one that has ended: %v", err)
	}
	Finished(t, Probe(t, h, id), 42)
	for range 2 {
		if err := h.Forget(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if r := Probe(t, h, id); r.State != backout.AttemptNotStarted {
		t.Errorf("after forget: %+v", r)
	}
	if left := Look(t, h, `ls -A "$DIR"`, "DIR", s.Attempts); strings.Contains(left, id) {
		t.Errorf("left on the target: %s", left)
	}
}

func manyStartsAreOne(t *testing.T, s Suite, id string) {
	effects := path.Join(s.Work, id)
	e := Shell(`echo x >>"$FILE"`, "FILE", effects)
	var all sync.WaitGroup
	for range 4 {
		h := s.Host(t)
		for range 4 {
			all.Go(func() {
				if err := h.Start(t.Context(), id, e); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	h := s.Host(t)
	r, _ := Follow(t, h, id)
	Finished(t, r, 0)
	Start(t, h, id, e)
	r, _ = Follow(t, h, id)
	Finished(t, r, 0)
	if got := Look(t, h, `cat "$FILE"`, "FILE", effects); got != "x\n" {
		t.Errorf("16 starts at once and one later had the effects %q", got)
	}
}

func everyTextArrives(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	hostile := "a'b\n$(id)`id`\xff\"-- é; ${HOME} $$ %n %% \\"
	dir := path.Join(s.Work, "a'b $$ %n")
	Look(t, h, `mkdir -p "$DIR"`, "DIR", dir)
	Start(t, h, id, backout.Exec{
		Argv: []string{"sh", "-c", `printf '%s|' "$@" "$BACKOUT_X" "$PWD" "$LC_ALL"`, "sh", hostile, "", "-n"},
		Env:  map[string]string{"BACKOUT_X": hostile}, Dir: dir,
	})
	r, out := Follow(t, h, id)
	Finished(t, r, 0)
	if want := strings.Join([]string{hostile, "", "-n", hostile, dir, "C", ""}, "|"); out != want {
		t.Errorf("arrived: %q\nsent:    %q", out, want)
	}
}

func exitCodes(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	for i, tt := range []struct {
		e    backout.Exec
		code int
	}{
		{Shell("exit 0"), 0},
		{Shell("exit 255"), 255},
		{Shell("kill -9 $$"), 128 + int(syscall.SIGKILL)},
		{backout.Exec{Argv: []string{"backout-no-such-program"}}, 127},
		{backout.Exec{Argv: []string{"/etc/passwd"}}, 126},
		{backout.Exec{Argv: []string{"true"}, Dir: "/no/such/directory"}, 126},
	} {
		one := id + strconv.Itoa(i)
		Start(t, h, one, tt.e)
		r, _ := Follow(t, h, one)
		Finished(t, r, tt.code)
	}
	for _, bad := range []backout.Exec{{}, {Argv: []string{"a\x00b"}}, {Argv: []string{"a"}, Dir: "rel"}, Shell("true", "A B", "c")} {
		if err := h.Start(t.Context(), id, bad); !backout.IsPermanent(err) {
			t.Errorf("start of %v: %v", bad, err)
		}
	}
	if err := h.Start(t.Context(), "../evil", Shell("true")); !backout.IsPermanent(err) {
		t.Errorf("start of a path: %v", err)
	}
	if r := Probe(t, h, id); r.State != backout.AttemptNotStarted {
		t.Errorf("what was refused is %+v", r)
	}
}

func attachFromAnOffset(t *testing.T, s Suite, id string) {
	gate := path.Join(s.Work, id)
	Start(t, s.Host(t), id, Shell(`echo first; until [ -e "$GATE" ]; do sleep 0.05; done; head -c 300000 /dev/zero; echo last; exit 3`, "GATE", gate))
	h := s.Host(t)
	AwaitOutput(t, h, id)
	Look(t, h, `>"$GATE"`, "GATE", gate)
	for _, offset := range []int{len("first\n"), 0, 300000} {
		var rest bytes.Buffer
		r, err := h.Attach(t.Context(), id, int64(offset), &rest)
		if err != nil {
			t.Fatal(err)
		}
		Finished(t, r, 3)
		if want := len("first\n") + 300000 + len("last\n") - offset; rest.Len() != want || !strings.HasSuffix(rest.String(), "last\n") {
			t.Errorf("from %d: %d bytes, want %d", offset, rest.Len(), want)
		}
	}
}

func attachEndsAlone(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	Start(t, h, id, Shell(`echo up; sleep 600`))
	AwaitOutput(t, h, id)
	if r := Probe(t, h, id); r.State != backout.AttemptRunning {
		t.Errorf("after an attach that was ended: %+v", r)
	}
	if err := h.Stop(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

func stopEndsTheGroup(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	Start(t, h, id, Shell(`sleep 600 & echo $!; wait`))
	AwaitOutput(t, h, id)
	for range 2 {
		if err := s.Host(t).Stop(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	r, child := Follow(t, h, id)
	Finished(t, r, 128+int(syscall.SIGTERM))
	if state := Look(t, h, `sed -n 's/^State:\t\([A-Z]\).*/\1/p' "/proc/$CHILD/status" 2>/dev/null || true`, "CHILD", strings.TrimSpace(child)); state != "" && state != "Z\n" {
		t.Errorf("its child lives: %q", state)
	}
}

func stopBeforeStart(t *testing.T, s Suite, id string) {
	effect := path.Join(s.Work, id)
	for range 2 {
		if err := s.Host(t).Stop(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	h := s.Host(t)
	Start(t, h, id, Shell(`>"$FILE"`, "FILE", effect))
	r, out := Follow(t, h, id)
	Finished(t, r, attempt.StoppedUnstarted)
	if out != "" || exists(t, h, effect) {
		t.Error("it was started after the stop")
	}
	if err := h.Forget(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// kill sends SIGKILL to the process, or group, that a file of the attempt names.
func (s Suite) kill(t *testing.T, h backout.Host, id, file string, field int, group string) {
	t.Helper()
	Look(t, h, `read -r line <"$FILE"; set -- $line; shift "$FIELD"; kill -s KILL -- "$GROUP$1"`,
		"FILE", path.Join(s.Attempts, id, file), "FIELD", strconv.Itoa(field), "GROUP", group)
}

func supervisorKilled(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	Start(t, h, id, Shell("echo up; sleep 600"))
	AwaitOutput(t, h, id)
	s.kill(t, h, id, "claim", 1, "")
	deadline := time.Now().Add(20 * time.Second)
	for Probe(t, h, id).Detail != attempt.DetailUnsupervised {
		if time.Now().After(deadline) {
			t.Fatalf("its supervisor was killed: %+v", Probe(t, h, id))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if r := Probe(t, s.Host(t), id); r.State != backout.AttemptRunning {
		t.Errorf("the command alone: %+v", r)
	}
	s.kill(t, h, id, "pid", 0, "-")
	r, out := Follow(t, h, id)
	if r.State != backout.AttemptUnknown || r.Detail != attempt.DetailGone || r.Boot == "" || r.Rebooted() || out != "up\n" {
		t.Errorf("both killed: %+v %q", r, out)
	}
	Start(t, s.Host(t), id, Shell("echo again"))
	if r, out := Follow(t, h, id); r.State != backout.AttemptUnknown || out != "up\n" {
		t.Errorf("a second start: %+v %q", r, out)
	}
	if err := h.Stop(t.Context(), id); err != nil {
		t.Errorf("stop of what is gone: %v", err)
	}
	if err := h.Forget(t.Context(), id); err == nil {
		t.Error("an unknown attempt was forgotten: it would look as if it never started")
	}
}

func cutStartIsUnknown(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	effect := path.Join(s.Work, id)
	Look(t, h, `mkdir -p "$DIR"`, "DIR", path.Join(s.Attempts, id))
	Start(t, h, id, Shell(`>"$FILE"`, "FILE", effect))
	if r, _ := Follow(t, h, id); r.State != backout.AttemptUnknown || r.Detail != attempt.DetailNoRecord || r.Boot == "" {
		t.Errorf("%+v", r)
	}
	if err := h.Stop(t.Context(), id); err == nil {
		t.Error("stop of what may yet begin ended well")
	}
	if exists(t, h, effect) {
		t.Error("the directory of another start was taken over")
	}
}

func leftoversAreRemoved(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	Start(t, h, id, Shell("true"))
	r, _ := Follow(t, h, id)
	Finished(t, r, 0)
	Look(t, h, `mkdir "$DIR/.gone.1.x"; echo x >"$DIR/.gone.1.x/out"`, "DIR", s.Attempts)
	if err := h.Forget(t.Context(), id); err != nil {
		t.Error(err)
	}
	if left := Look(t, h, `ls -A "$DIR"`, "DIR", s.Attempts); strings.Contains(left, ".gone.1.x") || strings.Contains(left, id) {
		t.Errorf("left on the target: %s", left)
	}
}

// rebootedIsForgotten: nothing of it can run, and it would stay on the target for
// ever. A claim that cannot be read says nothing of that kind.
func rebootedIsForgotten(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	for claim, forgotten := range map[string]bool{
		"11111111-2222-3333-4444-555555555555 1 1": true, "11111111-2222-3333-4444-555555555555 1": false, "": false,
	} {
		Look(t, h, `mkdir -p "$DIR"; echo "$CLAIM" >"$DIR/claim"`, "DIR", path.Join(s.Attempts, id), "CLAIM", claim)
		if r := Probe(t, h, id); r.State != backout.AttemptUnknown || r.Rebooted() != forgotten {
			t.Errorf("claimed by %q: %+v", claim, r)
		}
		if err := h.Forget(t.Context(), id); (err == nil) != forgotten || exists(t, h, path.Join(s.Attempts, id)) == forgotten {
			t.Errorf("claimed by %q: forget: %v", claim, err)
		}
	}
}

// whatItStartedMayStay: a service that a step starts by itself, without a service
// manager, is not ended with the attempt.
func whatItStartedMayStay(t *testing.T, s Suite, id string) {
	h := s.Host(t)
	Start(t, h, id, Shell(`setsid sleep 600 >/dev/null 2>&1 & echo $!`))
	r, child := Follow(t, h, id)
	Finished(t, r, 0)
	if err := h.Forget(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, err := fmt.Sscan(child, new(int)); err != nil {
		t.Fatal(err)
	}
	Look(t, h, `kill -s KILL "$CHILD"`, "CHILD", strings.TrimSpace(child))
}
