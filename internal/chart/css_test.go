package chart

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheStyleKnowsEveryClass that a picture has, and no picture is without a class
// that the style speaks of.
func TestTheStyleKnowsEveryClass(t *testing.T) {
	var used []string
	all := scenes()
	all["long"] = longBands()
	all["cut"] = Calendar{From: march(1, 0), Until: march(15, 0), Bars: []Bar{{Name: "CHG1", Opens: march(-3, 0), Closes: march(20, 0)}}}
	for _, p := range all {
		for _, e := range parsed(t, string(p.SVG())) {
			used = append(used, strings.Fields(e.attr["class"])...)
		}
	}
	slices.Sort(used)
	used = slices.Compact(used)
	var known []string
	for _, m := range regexp.MustCompile(`\.(c-[a-z]+)`).FindAllStringSubmatch(CSS, -1) {
		known = append(known, m[1])
	}
	slices.Sort(known)
	known = slices.Compact(known)
	// What has a pattern of its own needs no more, and text is styled as such.
	plain := []string{"chart", "c-t"}
	for _, class := range used {
		if !slices.Contains(known, class) && !slices.Contains(plain, class) {
			t.Errorf("the style does not know %s", class)
		}
	}
	for _, class := range known {
		if !slices.Contains(used, class) {
			t.Errorf("no picture has %s", class)
		}
	}
}

// TestTheStyleFetchesNothing, so that the strictest policy lets it through, and has
// the sizes that texts are measured with.
func TestTheStyleFetchesNothing(t *testing.T) {
	for _, word := range []string{"url(", "@import", "@font-face", "expression", "</", "!important"} {
		if strings.Contains(CSS, word) {
			t.Errorf("the style has %s", word)
		}
	}
	for _, rule := range []string{fmt.Sprintf(".chart text{font:%vpx/1 ", textSize), fmt.Sprintf(".chart .c-s{font-size:%vpx}", smallSize)} {
		if !strings.Contains(CSS, rule) {
			t.Errorf("the style has not %s", rule)
		}
	}
	for _, variable := range []string{"good", "bad", "wait", "line", "ink", "paper", "quiet"} {
		if !strings.Contains(CSS, "var(--"+variable+",") {
			t.Errorf("--%s of the page is not read, or has nothing in its place", variable)
		}
	}
	for _, media := range []string{"forced-colors:active", "media print"} {
		if !strings.Contains(CSS, media) {
			t.Errorf("no %s", media)
		}
	}
}
