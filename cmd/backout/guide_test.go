package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateGuide = flag.Bool("update-guide", false, "write what the commands of docs/rules.md print")

// TestGuideExplainsARule asks about the first rule and the alert of docs/rules.md, with
// nothing but these two files, and sees what stands there.
func TestGuideExplainsARule(t *testing.T) {
	path, err := filepath.Abs("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("rules", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, head := range map[string]string{"rules/web.yaml": "yaml", "alert.json": "json"} {
		_, rest, ok := bytes.Cut(guide, []byte("```"+head+"\n"))
		text, _, end := bytes.Cut(rest, []byte("```\n"))
		if !ok || !end {
			t.Fatalf("no block %s in the guide", head)
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	console := regexp.MustCompile("(?s)```console\n\\$ backout (rules explain [^\n]*)\n(.*?)```\n")
	if !console.Match(guide) {
		t.Fatal("no explanation in the guide")
	}
	got := console.ReplaceAllFunc(guide, func(match []byte) []byte {
		command := string(console.FindSubmatch(match)[1])
		// A process of its own has a zone of its own.
		run := exec.CommandContext(t.Context(), "backout", strings.Fields(command)...)
		run.Env = append(os.Environ(), "TZ=UTC")
		out, err := run.CombinedOutput()
		if exit, ended := errors.AsType[*exec.ExitError](err); err != nil && (!ended || exit.ExitCode() > 1) {
			t.Errorf("backout %s: %v", command, err)
		}
		return []byte("```console\n$ backout " + command + "\n" + string(out) + "```\n")
	})
	if *updateGuide {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(guide), string(got)); diff != "" {
		t.Errorf("what the commands print (-guide +got), go test ./cmd/backout -run Guide -update-guide:\n%s", diff)
	}
}
