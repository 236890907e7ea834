package browsertest

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
)

// axeSource is axe-core; testdata/axe says where it is from.
//
//go:embed testdata/axe/axe.min.js
var axeSource string

// finding is a rule that a page breaks, or that axe could not decide.
type finding struct {
	ID, Impact, Help, HelpURL string
	Nodes                     []struct {
		HTML           string
		FailureSummary string
		Target         []any
		Any            []struct {
			Data any
		}
	}
}

// rules are those of WCAG 2.2 at level AA, with what is good practice beyond it.
const rules = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`

// Accessible fails the test for each rule of WCAG 2.2 AA, and of what is good practice
// beyond it, that the page breaks as it is now: the rule, how bad it is, where, and what
// helps. Contrast that axe could measure but did not judge is judged; what cannot be
// measured is logged for people, once.
func Accessible(t testing.TB, p *Page) {
	t.Helper()
	broken, unsure, err := p.With(t).axe()
	if err != nil {
		t.Fatalf("axe on %s: %v", p.where(), err)
	}
	for _, text := range broken {
		t.Errorf("%s is not accessible: %s", p.where(), text)
	}
	for _, text := range unsure {
		if !p.unsure[text] {
			p.unsure[text] = true
			t.Logf("for people to judge: %s", text)
		}
	}
}

// axe runs the rules beside the page's own scripts.
func (p *Page) axe() (broken, unsure []string, err error) {
	var there bool
	if err := p.eval("typeof axe === 'object'", &there); err != nil {
		return nil, nil, err
	}
	if !there {
		if err := p.eval(axeSource+";0", nil); err != nil {
			return nil, nil, err
		}
	}
	var result struct{ Violations, Incomplete []finding }
	if err := p.eval(`axe.run(document, {runOnly: {type: "tag", values: `+rules+`}, resultTypes: ["violations", "incomplete"]})
		.then((r) => ({violations: r.violations, incomplete: r.incomplete}))`, &result); err != nil {
		return nil, nil, err
	}
	for _, f := range result.Violations {
		for i := range f.Nodes {
			broken = append(broken, f.at(i))
		}
	}
	for _, f := range result.Incomplete {
		for i := range f.Nodes {
			switch ratio, want, known := f.contrast(i); {
			case known && ratio < want:
				broken = append(broken, fmt.Sprintf("%s (contrast %.2f, want %.1f)", f.at(i), ratio, want))
			case !known:
				unsure = append(unsure, f.inShort(i))
			}
		}
	}
	return broken, unsure, nil
}

// at is a finding at one place.
func (f finding) at(i int) string {
	n := f.Nodes[i]
	return fmt.Sprintf("%s (%s) at %v: %s: %s\n  %s\n  %s", f.ID, f.Impact, n.Target, f.Help,
		strings.ReplaceAll(n.FailureSummary, "\n", "\n  "), short(n.HTML), f.HelpURL)
}

// inShort is a finding at one place, in a line.
func (f finding) inShort(i int) string {
	_, why, _ := strings.Cut(f.Nodes[i].FailureSummary, "\n")
	return fmt.Sprintf("%s at %v: %s", f.ID, f.Nodes[i].Target, strings.TrimSpace(why))
}

// contrast is what was measured of a place whose contrast was not judged, such as that of
// a single character.
func (f finding) contrast(i int) (ratio, want float64, known bool) {
	if f.ID != "color-contrast" {
		return 0, 0, false
	}
	for _, check := range f.Nodes[i].Any {
		data, _ := check.Data.(map[string]any)
		ratio, _ = data["contrastRatio"].(float64)
		text, _ := data["expectedContrastRatio"].(string)
		if _, err := fmt.Sscanf(text, "%f:1", &want); err == nil && ratio > 0 {
			return ratio, want, true
		}
	}
	return 0, 0, false
}
