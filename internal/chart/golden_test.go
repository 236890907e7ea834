package chart

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew; look at the pictures before you commit them")

// TestScenes: the pictures and their words are those of testdata, they are whole, and
// no text lies upon another.
func TestScenes(t *testing.T) {
	for name, p := range scenes() {
		t.Run(name, func(t *testing.T) {
			svg := string(p.SVG())
			apart(t, whole(t, svg))
			golden(t, name+".svg", svg)
			golden(t, name+".txt", strings.Join(p.Words(), "\n")+"\n")
			if again := string(p.SVG()); again != svg {
				t.Error("the same picture is not the same bytes")
			}
		})
	}
}

// TestEveryWidth: narrow and wide, everything has its place.
func TestEveryWidth(t *testing.T) {
	for _, width := range []int{1, widthLeast, 640, 1280, widthMost, 9999} {
		b, d, c, r, m := story(), durations(), calendar(), replayed(), packed(60)
		b.Width, d.Width, c.Width, r.Width, m.Width = width, width, width, width, width
		for name, p := range map[string]picture{"bands": b, "durations": d, "calendar": c, "replay": r, "packed": m} {
			all := whole(t, string(p.SVG()))
			apart(t, all)
			if got := all[0].num(t, "width"); got != min(max(float64(width), widthLeast), widthMost) {
				t.Errorf("%s is %v wide, want %d", name, got, width)
			}
			for _, word := range map[string][]string{"bands": {"window", "watch", "UTC"}, "durations": {"L1", "L3"}, "calendar": {"CHG0030002"}}[name] {
				if len(texts(all, word)) == 0 {
					t.Errorf("%s of width %d lacks %s", name, width, word)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
