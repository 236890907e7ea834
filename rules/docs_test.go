package rules

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

const guide = "../docs/rules.md"

var update = flag.Bool("update", false, "write the generated files")

// blocks returns the fenced blocks of the guide by their language, in order.
func blocks(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		found[m[1]] = append(found[m[1]], m[2])
	}
	return found
}

func TestGuideRuleFilesLoadWithoutAWarning(t *testing.T) {
	files := blocks(t)["yaml"]
	if len(files) < 3 {
		t.Fatalf("%d rule files in the guide", len(files))
	}
	for _, text := range files {
		if set, problems := Load(map[string][]byte{guide: []byte(text)}); set.Len() == 0 || problems != nil {
			t.Errorf("%s\n%v", text, problems)
		}
	}
}

func TestGuideExpressions(t *testing.T) {
	found := blocks(t)
	for _, when := range strings.Split(strings.TrimSpace(found["expr"][0]), "\n") {
		if _, err := newExpressions().compile(when); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	for _, when := range strings.Split(strings.TrimSpace(found["refused"][0]), "\n") {
		if _, err := newExpressions().compile(when); err == nil {
			t.Errorf("not refused: %s", when)
		}
	}
}

func TestGuideFirstRuleGivesItsReasons(t *testing.T) {
	found := blocks(t)
	var a backout.Alert
	if err := json.Unmarshal([]byte(found["json"][0]), &a); err != nil {
		t.Fatal(err)
	}
	c := change("CHG0030001", "web-1", "web-2")
	w := worldOf(c)
	w.evidence[c.ID] = backout.Evidence{RedSharePatched: 0.5, RedShareUnpatched: 0.1}
	res := load(t, found["yaml"][0]).Match(&a, w, opened.Add(8*time.Minute))
	if len(res.Verdicts) != 1 {
		t.Fatalf("result %+v", res)
	}
	if diff := cmp.Diff(found["text"][0], strings.Join(res.Verdicts[0].Reasons, "\n")+"\n"); diff != "" {
		t.Errorf("reasons (-guide +got):\n%s", diff)
	}
}

// TestGuideListsEveryFactAndFunction compares the tables between the guide's
// markers; with -update it writes them.
func TestGuideListsEveryFactAndFunction(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, list := range map[string][]Fact{"fact": Facts(), "function": Functions()} {
		table := &strings.Builder{}
		fmt.Fprintf(table, "| %s | type | meaning |\n| --- | --- | --- |\n", name)
		for _, f := range list {
			fmt.Fprintf(table, "| `%s` | %s | %s |\n", f.Name, f.Type, f.Doc)
		}
		begin, end := "<!-- "+name+"s -->\n", "<!-- end of "+name+"s -->\n"
		before, rest, ok := strings.Cut(want, begin)
		_, after, both := strings.Cut(rest, end)
		if !ok || !both {
			t.Fatalf("%s has no markers %q and %q", guide, begin, end)
		}
		want = before + begin + "\n" + table.String() + "\n" + end + after
	}
	if *update {
		if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("the tables are not those of the code: go test ./rules -run %s -update (-want +got):\n%s", t.Name(), diff)
	}
}
