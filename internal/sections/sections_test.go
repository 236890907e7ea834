package sections_test

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/sections"
)

func TestWhatToolsSayIsNoHeading(t *testing.T) {
	out, err := exec.Command("sh", "-c", sections.Shell+`echo noise; echo =begin; say a printf '=end\n|x\n\n'; say b sh -c 'echo "=failed x"; echo why >&2; exit 7'; echo "=c d e"; echo =end`).Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := sections.Parse(string(out))
	want := []sections.Section{
		{Name: "begin"}, {Name: "a", Lines: []string{"=end", "|x", ""}}, {Name: "b", Lines: []string{"=failed x", "why", ""}, Failed: "7"}, {Name: "c", Arg: "d e"}, {Name: "end"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if text := got[2].Text(); text != "=failed x; why" {
		t.Errorf("%q", text)
	}
}

func TestHalfAnAnswerIsNone(t *testing.T) {
	for _, text := range []string{"", "=begin\n", "=begin\n=a\n|x", "=a\n=end\n", "=begin\nx\n=end\n"} {
		if got, err := sections.Parse(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}
