package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOnlyACrashOfTheDetectorIsRunAgain: whatever else fails has failed.
func TestOnlyACrashOfTheDetectorIsRunAgain(t *testing.T) {
	bash := need(t, "bash", "bash")
	script, err := filepath.Abs("../../.ci/race")
	if err != nil {
		t.Fatal(err)
	}
	const crash = "SIGSEGV: segmentation violation\n\ngoroutine 0 gp=0xc0 m=4 [idle, synctest bubble 118]:\nFAIL\tx/engine\t8s\n"
	for name, tt := range map[string]struct {
		says string
		runs int
		ok   bool
	}{
		"all well":                    {"ok  \tx/store\t1s\n", 1, true},
		"the detector crashed":        {"ok  \tx/store\t1s\n" + crash + "ok  \tx/ui\t1s\nFAIL\n", 2, true},
		"a test failed too":           {"--- FAIL: TestA (0.1s)\nFAIL\nFAIL\tx/store\t1s\n" + crash + "FAIL\n", 1, false},
		"a test failed in it":         {"--- FAIL: TestA (0.1s)\n" + crash + "FAIL\n", 1, false},
		"a race, and a crash":         {"WARNING: DATA RACE\n" + crash + "FAIL\n", 1, false},
		"the program itself crashed":  {strings.Replace(crash, "goroutine 0", "goroutine 7", 1) + "FAIL\n", 1, false},
		"it does not compile":         {"FAIL\tx/store [build failed]\nFAIL\n", 1, false},
		"it ended without a sentence": {"", 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(file, text string) {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write("says", tt.says)
			rc := "1"
			if !strings.Contains(tt.says, "FAIL") && tt.says != "" {
				rc = "0"
			}
			write("go", "#!/bin/sh\necho \"$@\" >>runs\n[ \"$(wc -l <runs)\" -eq 1 ] || exit 0\ncat says\nexit "+rc+"\n")
			cmd := exec.CommandContext(t.Context(), bash, script, "./go", "test", "-race", "./...")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			runs, readErr := os.ReadFile(filepath.Join(dir, "runs"))
			lines := strings.Split(strings.TrimSpace(string(runs)), "\n")
			if (err == nil) != tt.ok || readErr != nil || len(lines) != tt.runs {
				t.Fatalf("%v, %q, %v\n%s", err, lines, readErr, out)
			}
			if tt.runs == 2 && lines[1] != "test -race x/engine" {
				t.Errorf("again: %q", lines[1])
			}
		})
	}
}
