package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/rules"
)

// setOf loads rule files alone.
func setOf(files ...string) (RuleSet, error) {
	data := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return RuleSet{}, err
		}
		data[file] = text
	}
	set, problems := rules.Load(data)
	return RuleSet{Rules: set}, problems.Fatal()
}

func replayIn(t *testing.T, command string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	code := Run(t.Context(), strings.Fields(command), Options{Stdout: &out, Stderr: &out, RulesSet: setOf})
	return out.String(), code
}

// guideFiles saves what docs/rules.md has of a past, and returns the guide.
func guideFiles(t *testing.T) (path string, guide []byte) {
	t.Helper()
	zone := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
	path, err := filepath.Abs("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	if guide, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("rules", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, head := range map[string]string{"rules/web.yaml": "yaml", "payloads.json": "json payloads.json", "change.json": "json change.json"} {
		_, rest, ok := strings.Cut(string(guide), "```"+head+"\n")
		text, _, end := strings.Cut(rest, "```\n")
		if !ok || !end {
			t.Fatalf("no block %s in the guide", head)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, guide
}

// TestGuideReplaysARule does what docs/rules.md says, and sees what stands there.
func TestGuideReplaysARule(t *testing.T) {
	path, guide := guideFiles(t)
	console := regexp.MustCompile("(?s)```console\n(\\$ backout rules replay [^`]*)```\n")
	if !console.Match(guide) {
		t.Fatal("no replay in the guide")
	}
	got := console.ReplaceAllFunc(guide, func(match []byte) []byte {
		var b strings.Builder
		for _, line := range strings.Split(string(match), "\n") {
			if command, ok := strings.CutPrefix(line, "$ backout "); ok {
				out, _ := replayIn(t, command)
				b.WriteString(line + "\n" + out)
			}
		}
		return []byte("```console\n" + b.String() + "```\n")
	})
	if *updateGuide {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(guide), string(got)); diff != "" {
		t.Errorf("what the commands print (-guide +got), go test ./internal/cli -run Guide -update-guide:\n%s", diff)
	}
}

// TestReplayIsTheSameTwice: byte for byte, in both shapes.
func TestReplayIsTheSameTwice(t *testing.T) {
	guideFiles(t)
	many, err := os.ReadFile("rules/web.yaml")
	if err != nil {
		t.Fatal(err)
	}
	other := strings.ReplaceAll(strings.ReplaceAll(string(many), "WebErrorsAfterPatch", "Other"), "2m", "3m")
	if err := os.WriteFile("other.yaml", []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"", " --as-auto", " -o json --as-auto", " --as-auto --against other.yaml", " -o json --as-auto --against other.yaml"} {
		command := "rules replay -c rules/web.yaml --file payloads.json --changes change.json" + more
		first, code := replayIn(t, command)
		for range 5 {
			if again, _ := replayIn(t, command); again != first || code != 0 || first == "" {
				t.Errorf("%s ends with %d, and differs (-first +again):\n%s", command, code, cmp.Diff(first, again))
			}
		}
	}
}

func TestReplayOfTwoRuleSets(t *testing.T) {
	guideFiles(t)
	text, err := os.ReadFile("rules/web.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const replay = "rules replay -c rules/web.yaml --file payloads.json --changes change.json --as-auto --fail-on-difference --against other.yaml"
	for name, test := range map[string]struct {
		old, new string
		code     int
		want     string
	}{
		"the same":   {"summary", "words", 0, "no difference"},
		"later":      {"2m", "3m", 1, "CHG0030001 web-1: earlier"},
		"earlier":    {"2m", "1m", 1, "CHG0030001 web-1: later"},
		"never":      {"2m", "2h", 1, "CHG0030001 web-1: only here"},
		"more of it": {"mode: shadow", "mode: shadow\n        scope: change", 1, "CHG0030001 web-2: only there"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile("other.yaml", []byte(strings.Replace(string(text), test.old, test.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			out, code := replayIn(t, replay)
			if code != test.code || !strings.Contains(out, test.want) {
				t.Errorf("ended with %d, want %d with %q:\n%s", code, test.code, test.want, out)
			}
		})
	}
}

func TestReplayMistakes(t *testing.T) {
	guideFiles(t)
	for name, text := range map[string]string{
		"bad.json": "{}\n", "evil.json": strings.Replace(`{"version":"4","alerts":[{"status":"firing","startsAt":"2026-03-01T22:05:00Z","labels":{"alertname":"\u001b[2JHigh","severity":"page","team":"web","instance":"web-1"}}]}`, "\n", "", -1),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const with = "rules replay -c rules/web.yaml --changes change.json "
	for command, want := range map[string]string{
		"rules replay -c rules/web.yaml --changes change.json":                   "2 --changes goes with --file or --prometheus",
		with + "--file payloads.json --prometheus http://localhost:9090":         "2 prometheus",
		with + "--file nosuch.json":                                              "1 nosuch.json",
		with + "--file bad.json":                                                 "1 bad.json: line 1: ",
		with + "--file payloads.json --rule Nobody":                              "2 no rule of that name",
		with + "--file payloads.json --since tomorrow":                           "2 want how long ago",
		with + "--prometheus nonsense":                                           "2 want http://HOST:PORT",
		with + "--prometheus http://localhost:1 --step 1ms":                      "2 at least 1s",
		with + "--prometheus http://localhost:1":                                 "1 ask Prometheus",
		"rules replay -c rules/web.yaml --file payloads.json --changes bad.json": "1 no change with an id",
		with + "--file payloads.json --against nosuch.yaml":                      "1 nosuch.yaml",
	} {
		out, code := replayIn(t, command)
		number, text, _ := strings.Cut(want, " ")
		if number != string(rune('0'+code)) || !strings.Contains(out, text) {
			t.Errorf("%s ended with %d, want %s:\n%s", command, code, want, out)
		}
	}
	if out, _ := replayIn(t, with+"--file evil.json --as-auto"); strings.ContainsRune(out, 0x1b) {
		t.Errorf("a control character came through: %q", out)
	}
}
