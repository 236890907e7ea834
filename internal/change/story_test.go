package change

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/backout-io/backout"
)

var update = flag.Bool("update", false, "write what happened into the stories; then read the diff")

// TestStories plays each story of testdata and compares the whole trace. A story
// is lines of "<time> <who> <request> <arguments>"; the trace shows for each what
// was decided, the state after it, and what is due next.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			story, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(file0(story, "story")))
			if *update {
				writeStory(t, file, story, got)
				return
			}
			if diff := gocmp.Diff(string(file0(story, "want")), got); diff != "" {
				t.Errorf("trace differs (-want +got); if it should, run with -update and read the diff:\n%s", diff)
			}
		})
	}
}

func file0(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func play(t *testing.T, story string) string {
	t.Helper()
	var b strings.Builder
	var c backout.Change
	var log []Entry
	for line := range strings.Lines(story) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		in := parse(t, c, line)
		fmt.Fprintf(&b, "> %s\n", line)
		events, err := Decide(c, in)
		if err != nil {
			fmt.Fprintf(&b, "  no (%s): %v\n", class(err), err)
			continue
		}
		if len(events) == 0 {
			b.WriteString("  nothing\n")
			continue
		}
		record := backout.Record{Op: strconv.Itoa(len(log)), At: in.At, Events: events}
		for _, e := range events {
			fmt.Fprintf(&b, "  %s%s\n", e.Kind(), detail(t, e))
			for _, n := range Tells(c, in.At, e) {
				fmt.Fprintf(&b, "  tell %s: %s: %s\n", n.Audience, n.Moment, n.Summary)
			}
			c = Apply(c, uint64(len(log)+1), in.At, e)
		}
		log = append(log, Entry{Seq: uint64(len(log) + 1), Record: record})
		fmt.Fprintf(&b, "  = %s%s%s\n", c.State, due(c), answered(c))
	}
	if diff := gocmp.Diff(c, Fold(backout.Change{}, throughJSON(t, log)...)); diff != "" {
		t.Errorf("replaying the log gives another state (-lived +replayed):\n%s", diff)
	}
	return b.String()
}

// throughJSON takes the log to disk and back, in the sense that matters here.
func throughJSON(t *testing.T, log []Entry) []Entry {
	t.Helper()
	out := make([]Entry, len(log))
	for i, entry := range log {
		data, err := json.Marshal(entry.Record)
		if err != nil {
			t.Fatal(err)
		}
		out[i].Seq = entry.Seq
		if err := json.Unmarshal(data, &out[i].Record); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func due(c backout.Change) string {
	at, ok := NextDeadline(c)
	if !ok {
		return ""
	}
	return ", due " + at.Format("15:04")
}

// answered is what is kept of the last answer, where a story stores any.
func answered(c backout.Change) string {
	if c.Answer == "" {
		return ""
	}
	return ", answer " + c.Answer + " of " + c.AnsweredAt.Format("15:04")
}

func class(err error) string {
	for name, sentinel := range map[string]error{
		"refused": backout.ErrRefused, "final": backout.ErrFinal, "exists": backout.ErrExists, "invalid": backout.ErrInvalid,
		"conflict": backout.ErrConflict, "not found": backout.ErrNotFound,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return "?"
}

func detail(t *testing.T, e backout.Event) string {
	t.Helper()
	switch e := e.(type) {
	case backout.WindowExtended:
		return fmt.Sprintf(" until %s %s", e.Closes.Format("15:04"), e.Reason)
	case backout.WatchStarted:
		return " until " + e.Until.Format("15:04")
	case backout.RollbackRequested:
		return fmt.Sprintf(" %s %v", e.Opened.RollbackID, e.Opened.Targets)
	case backout.RollbackEnded:
		return fmt.Sprintf(" %s %s", e.RollbackID, e.Status)
	case backout.ChangeEnded:
		return strings.TrimRight(fmt.Sprintf(" %s: %s %s", e.State, e.Reason, e.Blind), " ")
	case backout.TargetsPatched:
		return fmt.Sprintf(" %v", e.Targets)
	case backout.BaselineBegan:
		return fmt.Sprintf(" %d by %s", e.Number, e.Server)
	case backout.BaselineFailed:
		return fmt.Sprintf(" %d: %s", e.Number, sentence(e.Violations))
	case backout.DeltaCaptured:
		return fmt.Sprintf(" %v", e.Deltas)
	default:
		return ""
	}
}

func writeStory(t *testing.T, file string, story *txtar.Archive, got string) {
	t.Helper()
	for i := range story.Files {
		if story.Files[i].Name == "want" {
			story.Files[i].Data = []byte(got)
			saveFile(t, file, txtar.Format(story))
			return
		}
	}
	story.Files = append(story.Files, txtar.File{Name: "want", Data: []byte(got)})
	saveFile(t, file, txtar.Format(story))
}

// parse reads one line of a story. Times are of one day, UTC.
func parse(t *testing.T, c backout.Change, line string) Input {
	t.Helper()
	words := strings.Fields(line)
	if len(words) < 3 {
		t.Fatalf("story line %q: want time, who and request", line)
	}
	in := Input{At: at(t, words[0]), By: words[1]}
	if in.By == "server" {
		in.By = "" // nobody has asked it
	}
	args := map[string]string{}
	var rest []string
	for _, w := range words[3:] {
		if k, v, ok := strings.Cut(w, "="); ok {
			args[k] = v
		} else {
			rest = append(rest, w)
		}
	}
	in.Blind = strings.ReplaceAll(args["blind"], "_", " ")
	in.Do = request(t, c, words[1], words[2], args, rest)
	return in
}

func request(t *testing.T, c backout.Change, by, verb string, args map[string]string, rest []string) Request {
	t.Helper()
	reason := strings.Join(rest, " ")
	switch verb {
	case "plan":
		return Plan{Spec: spec(t, args)}
	case "gate":
		if reason != "" {
			return Gate{Violations: []backout.Violation{{Check: "plan", Reason: reason}}, Answer: args["answer"]}
		}
		passed := yes(c)
		passed.Answer = args["answer"]
		return passed
	case "capture":
		return BeginCapture{Server: cmp.Or(args["server"], "s1"), Opening: reason == "opening", Resumed: reason == "resumed"}
	case "captured":
		return Captured{Number: c.Captures, Baselines: digests("baseline", c.Targets)}
	case "capture_failed":
		return CaptureFailed{Number: c.Captures, Violations: []backout.Violation{{Check: "capture", Reason: reason}}, Answer: args["answer"]}
	case "deltas":
		return RecordDeltas{Deltas: digests(args["digest"], rest), PatchedAt: c.PatchedOn(cmp.Or(rest...))}
	case "readiness":
		do := Readiness{Answer: args["answer"]}
		if reason != "" {
			do.Violations = []backout.Violation{{Check: rest[0], Reason: reason}}
		}
		return do
	case "open":
		return opening(c)
	case "extend":
		return Extend{Closes: at(t, args["to"]), Reason: reason}
	case "close":
		return Close{Reason: reason}
	case "cancel":
		return Cancel{Reason: reason}
	case "patch_started":
		return PatchStarted{}
	case "patch_ended":
		code, _ := strconv.Atoi(args["code"])
		return PatchEnded{ExitCode: code, Targets: rest}
	case "tick":
		return Tick{}
	case "rollback":
		trigger := backout.Trigger{Verdict: &backout.Verdict{Rule: "r", Mode: backout.ModeAuto}}
		if by != "rule" {
			trigger = backout.Trigger{By: by}
		}
		return RequestRollback{backout.RollbackRequested{Opened: backout.Opened{
			RollbackID: rest[0], ChangeID: c.ID, Frozen: testFrozen(), Targets: rest[1:], Trigger: trigger, Baselines: BaselinesOf(c, rest[1:]),
		}}}
	case "ended":
		return RollbackEnded{RollbackID: rest[0], Status: backout.RollbackStatus(rest[1])}
	case "verdict":
		return RecordVerdict{backout.Verdict{ChangeID: c.ID, Rule: rest[0], Target: rest[1]}}
	}
	t.Fatalf("story: request %q is not known", verb)
	return nil
}

// yes is the gate's yes about the change as it is, good for a day.
func yes(c backout.Change) Gate {
	return Gate{PlanHash: "sha256:1", Targets: c.Targets, Baselines: digests("seen", c.Targets), ValidUntil: start.Add(240 * time.Hour)}
}

// opening opens with the capture that began last.
func opening(c backout.Change) Open {
	return Open{Frozen: testFrozen(), Gate: yes(c), Capture: c.Captures, Baselines: digests("baseline", c.Targets)}
}

func digests(what string, targets []string) map[string]string {
	out := map[string]string{}
	for _, t := range targets {
		out[t] = "sha256:" + what + "-" + t
	}
	return out
}

func spec(t *testing.T, args map[string]string) backout.ChangeSpec {
	t.Helper()
	s := backout.ChangeSpec{ID: "CHG1", Plan: "web", Stakeholders: []string{"owners"}}
	if args["targets"] != "" {
		s.Targets = strings.Split(args["targets"], ",")
	}
	if args["watch"] != "" {
		d, err := backout.ParseDuration(args["watch"])
		if err != nil {
			t.Fatal(err)
		}
		s.Window.Watch = d
	}
	if args["opens"] != "" {
		s.Window.Opens = at(t, args["opens"])
	}
	if args["closes"] != "" {
		s.Window.Closes = at(t, args["closes"])
	}
	s.Window.Auto = args["auto"] == "yes"
	return s
}

func at(t *testing.T, clock string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04", "2026-03-01 "+clock)
	if err != nil {
		t.Fatalf("story: %v", err)
	}
	return v
}

func testFrozen() backout.FrozenPlan {
	return backout.FrozenPlan{Hash: "sha256:1", Plan: backout.Plan{
		Name: "web", Audience: []string{"ops"},
		Levels: []backout.Level{
			{Name: "L1", Audience: []string{"ops"}, Steps: []backout.Step{{Uses: "command", With: []byte(`{}`)}}},
			{Name: "L2", Approval: backout.Approval{Groups: []string{"sre"}}, Steps: []backout.Step{{Uses: "command"}}},
		},
		Verify: backout.Verify{Checks: []backout.Check{{Uses: "http", With: []byte(`{}`)}}},
	}}
}
