package demo

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestDemoBringsTheShopBack runs the README's first command, as people run it:
// the real binary, its real store, a real service, real scripts.
func TestDemoBringsTheShopBack(t *testing.T) {
	program := filepath.Join(t.TempDir(), "backout")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/backout")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var out safeBuffer
	if err := Run(t.Context(), Options{Dir: t.TempDir(), Exit: true, Program: program, Out: &out}); err != nil {
		t.Fatalf("demo: %v\n%s", err, out.String())
	}
	story := out.String()
	rest := story
	for _, want := range []string{
		"it is well", "its window is open", "the shop is red", "opened for web-1 by rule ShopErrorsAfterPatch", "L1 starts", "step done on web-1: exit 0",
		"L1 did not help (time)", "L2 starts", "web-1 is green", "recovered: every target was green for 2s", "is well again",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the story lacks %q, in this order:\n%s", want, story)
		}
		rest = after
	}
	for _, notice := range []string{"[to ops]", "[to stakeholders]"} {
		if !strings.Contains(story, notice) {
			t.Errorf("nobody was told %s:\n%s", notice, story)
		}
	}
}

// TestDemoSaysWhatIsMissing: a program that cannot be the shop is one clear error.
func TestDemoSaysWhatIsMissing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Run(ctx, Options{Dir: t.TempDir(), Exit: true, Program: filepath.Join(t.TempDir(), "missing"), Out: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "start shop") {
		t.Errorf("got %v", err)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
