package view

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

var t0 = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

// hostile are texts that would do something to a terminal if they got there.
var hostile = []string{
	"\x1b[31mred\x1b[0m",
	"\x1b]0;title\x07",
	"\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
	"a\nbackout: recovered\n",
	"a\r\x1b[2Kb",
	"\u009b31mC1",
	"rtl\u202egpj.exe\u202c",
	"iso\u2066late\u2069",
	"zero\u200bwidth\ufeff\u00ad",
	"line\u2028sep\u2029par\u0085nel",
	"bad\xff\xfe\x80utf8",
	"bell\a back\b nul\x00 del\x7f",
	"tag\U000e0041\U000e0042",
	"private\ue000\U000f0000",
	"\x1bP+q544e\x1b\\",
	strings.Repeat("A", 64<<10),
}

// harmful is what must never reach a terminal, spelt out here so that the test
// does not ask the code it tests: C0, DEL and C1 controls, soft hyphen, the marks
// and overrides of bidirectional text, invisible and separating format
// characters, tags, and private use.
var harmful = [][2]rune{
	{0, 0x1f},
	{0x7f, 0x9f},
	{0xad, 0xad},
	{0x61c, 0x61c},
	{0x180e, 0x180e},
	{0x200b, 0x200f},
	{0x2028, 0x202e},
	{0x2060, 0x206f},
	{0xd800, 0xf8ff},
	{0xfeff, 0xfeff},
	{0xfff9, 0xfffb},
	{0xe0000, 0xe007f},
	{0xf0000, 0x10ffff},
}

func isHarmful(r rune) bool {
	for _, span := range harmful {
		if r >= span[0] && r <= span[1] {
			return true
		}
	}
	return false
}

// TestATokenThatHasEndedSaysWhy: nobody revoked it, and it has not expired.
func TestATokenThatHasEndedSaysWhy(t *testing.T) {
	got := Tokens([]handlers.TokenStatus{{ID: "0123456789abcdef", Owner: "ann", Note: "pipeline", State: "ended", ExpiresAt: t0.Add(time.Hour)}}, Style{}, t0)
	if !strings.Contains(got, "ended") || !strings.Contains(got, "of another account or password") || strings.Contains(got, "active") || strings.Contains(got, "expires") {
		t.Error(got)
	}
}

func TestUnsafeKnowsEveryHarmfulCharacter(t *testing.T) {
	for _, span := range harmful {
		for r := span[0]; r <= span[1]; r++ {
			if !Unsafe(r) {
				t.Fatalf("%U is taken for safe", r)
			}
		}
	}
	for _, r := range "aZ ~é日\u0301\u00a0✓├🙂\ufffd" {
		if Unsafe(r) {
			t.Errorf("%U is taken for unsafe", r)
		}
	}
}

func wantHarmless(t *testing.T, out string, lines bool) {
	t.Helper()
	if !utf8.ValidString(out) {
		t.Errorf("not valid UTF-8: %q", out)
	}
	for _, r := range out {
		if isHarmful(r) && (!lines || r != '\n' && r != '\t') {
			t.Errorf("holds %U: %q", r, out)
			return
		}
	}
}

func TestCleanLeavesNothingThatMovesACursor(t *testing.T) {
	for _, s := range hostile {
		wantHarmless(t, Clean(s), false)
		wantHarmless(t, CleanLines(s), true)
	}
	for in, want := range map[string]string{
		"plain":                 "plain",
		"a\nb\tc\r\nd":          "a b c  d",
		"\x1b[31mred\x1b[0m":    "[31mred[0m",
		"rtl\u202egpj":          "rtlgpj",
		"bad\xffutf8":           "bad\ufffdutf8",
		"grüße 日本 e\u0301":      "grüße 日本 e\u0301",
		"no\u00a0break\u3000ok": "no\u00a0break\u3000ok",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := CleanLines("a\r\nb\tc\x1b[K"); got != "a\nb\tc[K" {
		t.Errorf("CleanLines = %q", got)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Clean(s)
		wantHarmless(t, once, false)
		wantHarmless(t, CleanLines(s), true)
		if again := Clean(once); again != once {
			t.Errorf("Clean is not stable: %q then %q", once, again)
		}
		if cut := Cut(once, 20); Columns(cut) > 20 {
			t.Errorf("Cut(%q, 20) has %d columns", once, Columns(cut))
		}
	})
}

func TestCutCountsColumns(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"e\u0301e\u0301e", 3, "e\u0301e\u0301e"}, {"abc", 0, "abc"}, {"abc", 1, "…"}} {
		if got := Cut(c.in, c.n); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.n, got, c.want)
		}
	}
}

// fill sets every text of a value to s, however deep.
func hostileRollback(s string) backout.Rollback {
	r := recorded()["running"].Rollback
	r.ID, r.ChangeID, r.ChangeTitle, r.Reason, r.HeldReason, r.PausedBy, r.PausedReason = s, s, s, s, s, s, s
	r.Patch.IDs = []string{s}
	r.Frozen.Plan.Name, r.Frozen.Hash = s, s
	r.Trigger = backout.Trigger{By: s, Reason: s}
	for i := range r.Frozen.Plan.Levels {
		l := &r.Frozen.Plan.Levels[i]
		l.Summary, l.Loses = s, s
		l.Approval.Groups = []string{s}
		for k := range l.Steps {
			l.Steps[k].Name = s
		}
	}
	for i := range r.Targets {
		r.Targets[i].Name, r.Targets[i].Red, r.Targets[i].Failure = s, s, s
		if r.Targets[i].Attempt != nil {
			r.Targets[i].Attempt.ID = s
		}
	}
	return r
}

func TestHostileTextReachesNoTerminal(t *testing.T) {
	for _, s := range hostile {
		for _, status := range []backout.RollbackStatus{backout.RollbackRunning, backout.RollbackHeld, backout.RollbackAwaiting, backout.RollbackExhausted, backout.RollbackStatus(s)} {
			r := hostileRollback(s)
			r.Status = status
			r.Ask = &backout.Ask{ID: s, Level: 1, Why: s, Policy: backout.Approval{Mode: backout.ApprovalMode(s), Groups: []string{s}}}
			wantHarmless(t, Tree(Picture{Rollback: r, Now: t0, Broken: s}, Style{}), true)
			wantHarmless(t, Rollbacks([]backout.Rollback{r}, Style{}, t0)+BriefRollback(&r, Style{}, t0), true)
		}
		spec := backout.ChangeSpec{ID: s, Title: s, Targets: []string{s}, Plan: s, Owner: s, Stakeholders: []string{s}, Labels: map[string]string{s: s}, Patch: backout.Patch{Kind: s, IDs: []string{s}, CVEs: []string{s}}}
		c := backout.Change{
			ChangeSpec: spec, State: backout.ChangeState(s), Requester: s, Frozen: &backout.FrozenPlan{Hash: s},
			Violations: []backout.Violation{{Check: s, Target: s, Level: s, Reason: s, Fix: s}}, Rollbacks: []backout.RollbackRef{{ID: s, Targets: []string{s}, Status: backout.RollbackStatus(s)}},
		}
		wantHarmless(t, Change(&c, Style{}, t0)+Changes([]backout.Change{c}, Style{}, t0)+Brief(&c, Style{}, t0), true)
		wantHarmless(t, Gate(handlers.GateResult{ChangeID: s, Violations: c.Violations, Warnings: c.Violations, PlanHash: s}, Style{}, t0, false), true)
		hostileReady(t, s, c)
		wantHarmless(t, Targets([]backout.Target{{Name: s, Address: s, Transport: s, OS: s, Site: s, Labels: map[string]string{s: s}}}, Style{}), true)
		wantHarmless(t, Notices([]handlers.NoticeStatus{{Channel: s, Error: s, Notice: backout.Notice{RollbackID: s, Moment: backout.Moment(s)}}}, Style{}, t0), true)
		hostileRules(t, s)
		wantHarmless(t, Pause(handlers.PauseState{On: true, By: s, Reason: s}, Style{}, t0), true)
		wantHarmless(t, Problems(backout.Problems{{File: s, What: s, Fix: s}}, Style{}), true)
		wantHarmless(t, Rows([]string{"A"}, [][]string{{s}}, Style{}), true)
	}
}

func TestEveryEventHasWords(t *testing.T) {
	for _, e := range backout.Events() {
		if got := Describe(e); got == e.Kind() || got == "" {
			t.Errorf("%T is described as %q", e, got)
		}
	}
}

func TestEventLinesAreOneLineEach(t *testing.T) {
	for _, s := range hostile {
		rec := backout.Record{At: t0, Events: []backout.Event{
			backout.Opened{ChangeID: s, Targets: []string{s}, Trigger: backout.Trigger{Verdict: &backout.Verdict{Rule: s, AlertName: s}}},
			backout.StepFailed{Target: s, AttemptID: s, Reason: s, Outcome: backout.Outcome{ExitCode: 7, Summary: s}},
			backout.EvidenceAdded{Alert: backout.AlertRef{Name: s, Target: s, Summary: s}},
			backout.Voted{Vote: backout.Vote{User: s, Choice: backout.Choice(s), Via: s, Reason: s}},
			backout.GateRefused{Violations: []backout.Violation{{Check: s, Target: s, Reason: s}}, By: s},
			backout.BaselineBegan{Server: s, By: s, Opening: true},
			backout.BaselineFailed{Violations: []backout.Violation{{Check: s, Target: s, Reason: s}}},
			backout.DeltaCaptured{Deltas: map[string]string{s: s}},
			backout.ReadinessChanged{Violations: []backout.Violation{{Check: s, Reason: s}}},
			backout.TargetBack{Target: s, Drift: &backout.DriftFound{Verdict: backout.DriftVerdict(s), Summary: s}},
			backout.StepDone{Target: s, AttemptID: s, Outcome: backout.Outcome{Held: []string{s}}},
			backout.VerdictGiven{Verdict: backout.Verdict{Rule: s, Mode: backout.Mode(s), AlertName: s, Target: s, Reasons: []string{s}, Stopped: s}},
			backout.RuleJudged{Rule: s, By: s, Reason: s},
		}}
		out := Lines([]handlers.LogEntry{{ID: s, Seq: 1, Record: rec}})
		wantHarmless(t, out, true)
		if n := strings.Count(out, "\n"); n != len(rec.Events) {
			t.Errorf("%d events gave %d lines: %q", len(rec.Events), n, out)
		}
	}
}

func TestLinesAreStable(t *testing.T) {
	entry := handlers.LogEntry{ID: "CHG1-r1", Seq: 4, Record: backout.Record{At: t0, Events: []backout.Event{
		backout.LevelEntered{Level: 1, Targets: []string{"web-01", "web-02"}, Reason: "L1's time was up"},
		backout.HeldBack{Reason: "nobody may approve L2"},
		backout.Ended{Status: backout.RollbackRecovered},
	}}}
	want := "2026-11-23T02:00:00Z  CHG1-r1  level_entered     L2 entered on web-01, web-02: L1's time was up\n" +
		"2026-11-23T02:00:00Z  CHG1-r1  held              held: nobody may approve L2: needs a human\n" +
		"2026-11-23T02:00:00Z  CHG1-r1  ended             ended recovered\n"
	if diff := cmp.Diff(want, Lines([]handlers.LogEntry{entry})); diff != "" {
		t.Error(diff)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	list := []backout.Change{{ChangeSpec: backout.ChangeSpec{ID: "CHG0030001", Title: strings.Repeat("long 日本 ", 40), Plan: "web", Targets: []string{"a"}}, State: backout.ChangeOpen}}
	for _, width := range []int{20, 40, 80, 132} {
		for line := range strings.Lines(Changes(list, Style{Width: width}, t0)) {
			if n := Columns(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("width %d: a line of %d columns: %q", width, n, line)
			}
		}
	}
}

func TestFrameReplacesTheLastPicture(t *testing.T) {
	screen := newScreen(40, 12)
	screen.write("$ backout rollback watch\r\n")
	last := 0
	for _, picture := range []string{"one\ntwo\nthree\n", "a much longer line\nx\n", "last\n"} {
		screen.write(Frame(last, picture))
		last = strings.Count(picture, "\n")
		if diff := cmp.Diff("$ backout rollback watch\n"+picture, screen.String()); diff != "" {
			t.Error(diff)
		}
	}
}

// screen is as much of a terminal as frames need: print, CR, LF, cursor up,
// erase to the end of the line and of the screen.
type screen struct {
	cells    [][]rune
	row, col int
}

func newScreen(w, h int) *screen {
	s := &screen{cells: make([][]rune, h)}
	for i := range s.cells {
		s.cells[i] = []rune(strings.Repeat(" ", w))
	}
	return s
}

func (s *screen) write(text string) {
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
			s.control(rest[:end], rest[end])
			text = rest[end+1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		switch r {
		case '\r':
			s.col = 0
		case '\n':
			s.row++
		default:
			s.cells[s.row][s.col] = r
			s.col++
		}
	}
}

func (s *screen) control(param string, final byte) {
	blank := func(row, from int) {
		for i := from; i < len(s.cells[row]); i++ {
			s.cells[row][i] = ' '
		}
	}
	switch final {
	case 'A':
		var n int
		_, _ = fmt.Sscan(param, &n)
		s.row -= n
	case 'K':
		blank(s.row, s.col)
	case 'J':
		blank(s.row, s.col)
		for row := s.row + 1; row < len(s.cells); row++ {
			blank(row, 0)
		}
	}
}

func (s *screen) String() string {
	var b strings.Builder
	for _, row := range s.cells {
		if line := strings.TrimRight(string(row), " "); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
