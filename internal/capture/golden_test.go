package capture_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/baseline"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/capture/capturetest"
)

var update = flag.Bool("update", false, "write the inventories anew")

// says is a host that answers one thing.
type says struct {
	backout.Host
	text   []byte
	stderr string
	code   int
}

// Run implements [backout.Host].
func (h says) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	return backout.ExecResult{Stdout: h.text, Stderr: []byte(h.stderr), ExitCode: h.code}, nil
}

// everything but what an answer leaves out.
func asked(text []byte) backout.BaselineSpec {
	var spec backout.BaselineSpec
	for part, section := range map[string]string{
		backout.PartPorts: "sockets-after", backout.PartMounts: "mounts", backout.PartAccounts: "accounts", backout.PartFiles: "files", backout.PartAIDE: "aide", backout.PartUnits: "unit-files",
	} {
		if !bytes.Contains(text, []byte("\n@"+section+"\n")) {
			spec.Without = append(spec.Without, part)
		}
	}
	return spec
}

func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		inv, err := capture.Take(t.Context(), says{text: text}, asked(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := json.MarshalIndent(inv, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		file := strings.TrimSuffix(name, ".txt") + ".json"
		if *update {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// TestVolatileNoiseIsNotCaptured: in the recorded answer there are transient units,
// a login, a client's socket and a socket that was there only for a moment.
func TestVolatileNoiseIsNotCaptured(t *testing.T) {
	text, err := os.ReadFile("testdata/debian-12.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, noise := range []string{"passing.service", "user@0.service", `"session-`, `"run-`, "35388", `"port": 10752`, "/run/", "sysfs", "user-0.slice"} {
		if strings.Contains(string(text), noise) {
			t.Errorf("%s was captured", noise)
		}
	}
	for _, kept := range []string{"ssh.service", `"port": 22`, `"port": 53`, `"port": 43095`, "multi-user.target", `"openssh-server"`, "/etc/sudoers.d/backout", `"absent"`, `"link"`} {
		if !strings.Contains(string(text), kept) {
			t.Errorf("%s was not captured", kept)
		}
	}
}

func debian(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/debian-12.txt")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func zipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestACutAnswerIsAnError wherever it is cut, packed or not: half-captured baselines
// do not exist.
func TestACutAnswerIsAnError(t *testing.T) {
	whole := debian(t)
	packed := zipped(t, whole)
	for _, text := range [][]byte{whole, packed} {
		if _, err := capture.Take(t.Context(), says{text: text}, backout.BaselineSpec{}); err != nil {
			t.Fatal(err)
		}
		for n := range len(text) {
			if n%97 != 0 && n < len(text)-40 {
				continue
			}
			inv, err := capture.Take(t.Context(), says{text: text[:n]}, backout.BaselineSpec{})
			if err == nil || inv.Schema != 0 {
				t.Fatalf("cut after %d of %d bytes: %v", n, len(text), err)
			}
		}
	}
}

// TestALostPartIsAnError: a section that is not there, or of which the tool failed.
func TestALostPartIsAnError(t *testing.T) {
	whole := string(debian(t))
	for _, name := range []string{"release", "machine", "manager", "busy", "dpkg", "dpkg-version", "apt-history", "systemd", "unit-files", "unit-states", "mounts", "accounts", "files", "aide", "range", "sockets-before", "sockets-after"} {
		head, rest, _ := strings.Cut(whole, "@"+name+"\n")
		body, after, _ := strings.Cut(rest, "@end 0\n")
		for what, text := range map[string]string{
			"lost":   head + after,
			"failed": head + "@" + name + "\n" + body + "@end 3\n" + after,
			"gone":   head + "@" + name + "\n" + "@end 127\n" + after,
			"twice":  head + "@" + name + "\n" + body + "@end 0\n" + "@" + name + "\n" + body + "@end 0\n" + after,
			"nested": head + "@" + name + "\n" + "@" + name + "\n" + body + "@end 0\n" + after,
			"odd":    head + "@" + name + "\n" + body + " one two three\n@end 0\n" + after,
			"empty":  head + "@" + name + "\n \n@end 0\n" + after,
		} {
			inv, err := capture.Take(t.Context(), says{text: []byte(text)}, backout.BaselineSpec{})
			// These may be empty, or hold any text.
			fine := what == "odd" && (name == "release" || strings.HasSuffix(name, "version") || name == "systemd" || name == "range") ||
				what == "empty" && (name == "release" || name == "busy" || name == "dpkg-version" || name == "apt-history" || name == "systemd" || name == "accounts" || name == "files" || name == "aide" || strings.HasPrefix(name, "sockets"))
			if (err == nil) != fine || err != nil && inv.Schema != 0 {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
	var missing *capture.MissingError
	text := strings.Replace(whole, "@end 0\n@apt-history", "@end 0\n@apt-history\n gzip gzip\n@end 127\n@x", 1)
	if _, err := capture.Take(t.Context(), says{text: []byte(text)}, backout.BaselineSpec{}); !errors.As(err, &missing) || missing.Package != "gzip" || !errors.Is(err, backout.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// TestABombIsRefused: what a target packs is unpacked within bounds.
func TestABombIsRefused(t *testing.T) {
	bomb := zipped(t, bytes.Repeat([]byte(" "), 64<<20))
	if _, err := capture.Take(t.Context(), says{text: bomb}, backout.BaselineSpec{}); err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("got %v", err)
	}
}

// TestTheShellsEndIsTold with what it said.
func TestTheShellsEndIsTold(t *testing.T) {
	_, err := capture.Take(t.Context(), says{code: 126, stderr: "This account is not available.\n"}, backout.BaselineSpec{})
	if err == nil || !strings.Contains(err.Error(), "ended with 126: This account is not available.") {
		t.Errorf("got %v", err)
	}
}

// large is a host with 2,500 packages.
func large() backout.Inventory {
	var inv backout.Inventory
	inv.Packages = backout.PackageState{Manager: "rpm", Tool: "dnf 4.14.0", History: "41"}
	for i := range 2500 {
		inv.Packages.Installed = append(inv.Packages.Installed, backout.Package{
			Name: fmt.Sprintf("python3-package-%x", i*7919), Version: fmt.Sprintf("%d:%d.%d.%d-%d.el9_4.%d", i%3, i%17, i%29, i%41, i%7, i%5), Arch: []string{"x86_64", "noarch"}[i%2],
			Repository: []string{"baseos", "appstream", "epel"}[i%3],
		})
	}
	for i := range 450 {
		inv.Units = append(inv.Units, backout.Unit{Name: fmt.Sprintf("unit-%d.service", i), Enabled: "enabled", Active: "active"})
	}
	for i := range 300 {
		inv.Files = append(inv.Files, backout.FileState{Path: fmt.Sprintf("/etc/app/%d.conf", i), Kind: "file", SHA256: fmt.Sprintf("%064x", i*1e9+i*i), Mode: "644", Owner: "0:0"})
	}
	return inv
}

// BenchmarkTake reads a host with 2,500 packages; the bars are 3 s and 200 KiB stored.
func BenchmarkTake(b *testing.B) {
	h := says{text: zipped(b, capturetest.Answer(large()))}
	spec := backout.BaselineSpec{}
	var inv backout.Inventory
	for b.Loop() {
		var err error
		if inv, err = capture.Take(b.Context(), h, spec); err != nil {
			b.Fatal(err)
		}
	}
	stored := baseline.Encode(backout.Baseline{Inventory: inv})
	b.ReportMetric(float64(len(h.text))/1024, "KiB-sent")
	b.ReportMetric(float64(len(zipped(b, stored)))/1024, "KiB-stored")
	b.ReportMetric(float64(len(stored))/1024, "KiB-plain")
}

// TestALargeHostFits: what it sends, even without gzip, and what is stored of it.
func TestALargeHostFits(t *testing.T) {
	answer := capturetest.Answer(large())
	if len(answer) > 1<<20*3/4 {
		t.Errorf("a host with 2,500 packages sends %d bytes without gzip", len(answer))
	}
	inv, err := capture.Take(t.Context(), says{text: answer}, backout.BaselineSpec{})
	if err != nil || len(inv.Packages.Installed) != 2500 {
		t.Fatal(len(inv.Packages.Installed), err)
	}
	if n := len(zipped(t, baseline.Encode(backout.Baseline{Inventory: inv}))); n > 200<<10 {
		t.Errorf("%d bytes are stored", n)
	}
}
