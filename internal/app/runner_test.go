package app

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestRunnersExample: the file to begin with needs nothing but what it names.
func TestRunnersExample(t *testing.T) {
	path := filepath.Join("..", "..", "deploy", "example", "runner", "runner.yaml")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	problems := CheckRunner(t.Context(), path)
	if len(problems) == 0 {
		t.Fatal("its secrets were found")
	}
	for _, p := range problems {
		if !strings.Contains(p.What, "no systemd credentials here") && !strings.Contains(p.What, "known_hosts") {
			t.Error(p)
		}
	}
}
