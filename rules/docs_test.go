package rules

import (
	"encoding/json"
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

func TestGuideListsEveryFactAndFunction(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]Fact{Facts(), Functions()} {
		var table strings.Builder
		for _, f := range list {
			fmt.Fprintf(&table, "| `%s` | %s | %s |\n", f.Name, f.Type, f.Doc)
		}
		if !strings.Contains(string(text), "| --- | --- | --- |\n"+table.String()+"\n") {
			t.Errorf("the guide's table should be:\n%s", table.String())
		}
	}
}
