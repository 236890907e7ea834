package itsm

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

func plan(hash, text string) backout.Notice {
	return backout.Notice{PlanHash: hash, PlanText: text}
}

func TestThePlanTakesThePlaceOfTheOneBefore(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "people's words": "Call Ana.", "blank": " \n", "our begin by somebody": "--- plan of backout, of old",
	} {
		one, changed := WithPlan(text, plan("sha256:1", "L1 a"))
		if !changed || !strings.HasPrefix(one, strings.TrimSpace(text)) || !strings.HasSuffix(one, PlanBlock(plan("sha256:1", "L1 a"))) {
			t.Errorf("%s: %q", name, one)
		}
		if again, changed := WithPlan(one, plan("sha256:1", "L1 a")); changed || again != one {
			t.Errorf("%s, again: %q", name, again)
		}
		two, _ := WithPlan(one+"\n\nAfter.", plan("sha256:2", "L1 b"))
		if strings.Contains(two, "sha256:1") || !strings.Contains(two, "sha256:2") || !strings.Contains(two, "After.") || !strings.HasPrefix(two, strings.TrimSpace(text)) {
			t.Errorf("%s, another: %q", name, two)
		}
	}
}

// TestAnyPlanStaysInItsBlock: whatever plan and people write, people's words survive
// two plans, and the second is there once.
func TestAnyPlanStaysInItsBlock(t *testing.T) {
	word := rapid.SampledFrom([]string{planBegins, planEnds, "---", "\n", "\r\n", "a", "L1 undo", " ", "sha256:1"})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) string { return strings.Join(rapid.SliceOfN(word, 0, 8).Draw(t, name), "") }
		one, _ := WithPlan("people", plan(draw("hash"), draw("text")))
		last := plan("sha256:last", draw("last"))
		two, _ := WithPlan(one, last)
		if !strings.HasPrefix(two, "people\n") || strings.Count(two, planBegins) != 1 || strings.Count(two, planEnds) != 1 || !strings.Contains(two, PlanBlock(last)) {
			t.Fatalf("%q", two)
		}
	})
}

func TestADocumentKeepsWhatPeopleWrote(t *testing.T) {
	people := json.RawMessage(`{"type":"doc","version":1,"content":[{"type":"panel","attrs":{"panelType":"info"},"content":[
		{"type":"paragraph","content":[{"type":"text","text":"Call Ana","marks":[{"type":"strong"}]},{"type":"hardBreak"},{"type":"text","text":"now."}]}]}]}`)
	one, changed := DocumentWithPlan(people, plan("sha256:1", "L1 a\nL2 b"))
	raw, err := json.Marshal(one)
	if err != nil || !changed {
		t.Fatal(err, changed)
	}
	for _, want := range []string{`"panelType":"info"`, `"marks":[{"type":"strong"}]`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
	if got := FieldText(raw); !strings.HasPrefix(got, "Call Ana\nnow.\n") || !strings.Contains(got, PlanBlock(plan("sha256:1", "L1 a\nL2 b"))) {
		t.Errorf("text %q", got)
	}
	if _, changed := DocumentWithPlan(raw, plan("sha256:1", "L1 a\nL2 b")); changed {
		t.Error("the same plan was written again")
	}
	for _, none := range []string{"null", `""`, `{"type":"doc","version":1,"content":[{"type":"mediaSingle","content":[{"type":"media"}]}]}`, "7"} {
		if got := strings.TrimSpace(FieldText(json.RawMessage(none))); got != "" && none != "7" {
			t.Errorf("%s has the text %q", none, got)
		}
		if _, changed := DocumentWithPlan(json.RawMessage(none), plan("sha256:1", "L1")); !changed {
			t.Errorf("%s: no plan was written", none)
		}
	}
}

// FuzzTexts: no text makes a document with an empty text node, or ends what keeps
// wiki markup away.
func FuzzTexts(f *testing.F) {
	for _, seed := range []string{"", "\n\n\n", "a\n\nb\nc", "{noformat}", "{NOFORMAT:title=x}", "[~a]", "\u2028", "{{noformat}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := json.Marshal(Document(text))
		if err != nil || strings.Contains(string(raw), `{"type":"text"}`) {
			t.Errorf("%v: %s", err, raw)
		}
		wiki := strings.ToLower(Unformatted(text))
		if strings.Count(wiki, "{noformat") != 2 || strings.Contains(wiki, "[~") {
			t.Errorf("%q", wiki)
		}
	})
}

func TestWhatNamesARecord(t *testing.T) {
	for text, want := range map[string][2]bool{
		"CHG0030001": {true, false}, "OPS-17": {true, true}, "ops-17": {true, false}, "": {}, "a^b": {}, "a=b": {}, "CHG 1": {}, "-1": {}, "A-": {true, false},
		"../x": {}, "OPS-17\n": {}, "OPS-1/comment": {}, strings.Repeat("A", 41): {}, "é": {},
	} {
		if got := [2]bool{IsNumber(text), IsKey(text)}; got != want {
			t.Errorf("%q: number and key %v, want %v", text, got, want)
		}
	}
}

func TestCorrelationIsOfTheRollback(t *testing.T) {
	a := backout.Notice{ChangeID: "C", RollbackID: "C-r1", ID: "1"}
	b, other := a, a
	b.ID, b.Moment = "2", backout.MomentExhausted
	other.RollbackID = "C-r2"
	if Correlation(a) != Correlation(b) || Correlation(a) == Correlation(other) || Correlation(backout.Notice{ChangeID: "C"}) == Correlation(a) {
		t.Error("notices of one rollback have not one correlation of their own")
	}
	for _, text := range notifierTexts {
		if got := Correlation(backout.Notice{RollbackID: text}); len(got) != 40 || strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%q: %q", text, got)
		}
	}
}

var notifierTexts = []string{"", "^ORactive=true", `" OR 1=1`, "\x00", strings.Repeat("x", 1<<16)}

func TestTheTagIsOfTheWholeText(t *testing.T) {
	m := backout.Message{Notice: backout.Notice{ID: "C-r1.1.0"}, Subject: "s", Text: "t"}
	same, other := m, m
	other.Text = "u"
	if Tag(m) != Tag(same) || Tag(m) == Tag(other) || !strings.Contains(Tag(m), notifier.Key(m.Notice.ID)) || TagLabel(m) == TagLabel(other) {
		t.Errorf("%q, %q", Tag(m), Tag(other))
	}
}
