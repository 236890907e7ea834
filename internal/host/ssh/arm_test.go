package ssh_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/host/hosttest"
)

// until waits for what another goroutine does; the bound only ends a broken test.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(5 * time.Millisecond); !is(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func addresses(s *hosttest.Server) []string {
	var out []string
	for _, target := range s.Targets {
		out = append(out, target.Address)
	}
	slices.Sort(out)
	return out
}

// TestArmedTargetsAreConnectedAndStaySo: without anybody using them, and again
// after the connections were lost.
func TestArmedTargetsAreConnectedAndStaySo(t *testing.T) {
	s := hosttest.SSHD(t, 3)
	n := network(t, options(s))
	all := addresses(s)
	if left, err := n.Arm(all); left != 0 || err != nil {
		t.Fatalf("arm: %d left, %v", left, err)
	}
	armed := func() bool { return slices.Equal(n.Armed(), all) }
	until(t, "all are armed", armed)
	s.Cut(t)
	until(t, "the lost connections are seen", func() bool { return !armed() })
	until(t, "all are armed again", armed)
}

// TestArmedStartsWithoutAHandshake: the first session of an armed target opens no
// connection, and its boot id is known.
func TestArmedStartsWithoutAHandshake(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	n := network(t, options(s))
	if _, err := n.Arm(addresses(s)); err != nil {
		t.Fatal(err)
	}
	until(t, "it is armed", func() bool { return len(n.Armed()) == 1 && s.Sessions(t) == 1 })
	h, err := n.Host(s.Targets[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the boot id is known", func() bool {
		before := s.Sessions(t)
		boot, err := h.BootID(t.Context())
		return err == nil && boot != "" && s.Sessions(t) == before
	})
}

// TestArmingHasALimit: what is above it is told, never silently left out.
func TestArmingHasALimit(t *testing.T) {
	s := hosttest.SSHD(t, 3)
	o := options(s)
	o.Armed = 2
	n := network(t, o)
	left, err := n.Arm(addresses(s))
	if left != 1 || err != nil {
		t.Errorf("%d left (%v), want 1", left, err)
	}
	until(t, "two are armed", func() bool { return len(n.Armed()) == 2 })
	if left, err := n.Arm(nil); left != 0 || err != nil || len(n.Armed()) != 0 {
		t.Errorf("after arming nothing %d left (%v), %v armed", left, err, n.Armed())
	}
}

// TestUnarmedSaysWhy: a target that is gone is known without anybody asking it.
func TestUnarmedSaysWhy(t *testing.T) {
	s := hosttest.SSHD(t, 1)
	n := network(t, options(s))
	if _, err := n.Arm(addresses(s)); err != nil {
		t.Fatal(err)
	}
	until(t, "it is armed", func() bool { return len(n.Armed()) == 1 })
	s.Kill(t)
	until(t, "it is told that the target is gone", func() bool { return n.Unarmed()[s.Targets[0].Address] != nil })
}
