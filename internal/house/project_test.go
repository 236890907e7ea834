package house

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheProjectIsWhole: what a newcomer looks for is there.
func TestTheProjectIsWhole(t *testing.T) {
	p := readTree(t)
	for _, file := range []string{
		"README.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "Makefile", ".ci/run", "go.sum",
		"internal/tools/go.mod", "internal/tools/go.sum", "deploy/backout.service", "deploy/Dockerfile",
	} {
		if data, ok := p.text(file); !ok || len(data) == 0 {
			t.Errorf("%s is missing or empty", file)
		}
	}
	if data, _ := p.text("LICENSE"); !strings.Contains(string(data), "Apache License") || !strings.Contains(string(data), "Version 2.0") {
		t.Error("LICENSE is not the Apache License 2.0")
	}
}

// TestChangelog keeps to Keep a Changelog, so that users find what changed.
func TestChangelog(t *testing.T) {
	data, ok := readTree(t).text("CHANGELOG.md")
	if !ok {
		t.Fatal("CHANGELOG.md is missing")
	}
	if !strings.Contains(string(data), "\n## [Unreleased]\n") {
		t.Error("CHANGELOG.md has no [Unreleased] section: add it on top, and say there what users will notice")
	}
	heading := regexp.MustCompile(`^## \[(Unreleased\]|\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2})$`)
	section := regexp.MustCompile(`^### (Added|Changed|Deprecated|Removed|Fixed|Security)$`)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "## ") && !heading.MatchString(line) || strings.HasPrefix(line, "### ") && !section.MatchString(line) {
			t.Errorf("CHANGELOG.md: heading %q is not of the form of Keep a Changelog", line)
		}
	}
}

// TestOneWordForOneThing: a level is a level. Other words for it confuse those
// who read a page at night.
func TestOneWordForOneThing(t *testing.T) {
	synonym := regexp.MustCompile(`(?i)\b(tier|stage|phase)[- ]?[1-9]\b|\bL[1-9] (tier|stage|phase)\b|\b(next|first|last|escalation|back-?out|rollback) (tier|stage)s?\b`)
	for _, f := range readTree(t).texts {
		if strings.HasPrefix(f.path, "internal/house/") || strings.Contains("/"+f.path, "/testdata/") {
			continue
		}
		switch path.Ext(f.path) {
		case ".go", ".md", ".yaml", ".yml", ".tmpl", ".html":
		default:
			continue
		}
		for i, line := range strings.Split(string(f.data), "\n") {
			if found := synonym.FindString(line); found != "" {
				t.Errorf("%s:%d: %q: the word is level", f.path, i+1, found)
			}
		}
	}
}

// TestNoPathsOfOneMachine: what works only where it was written does not belong.
func TestNoPathsOfOneMachine(t *testing.T) {
	machine := regexp.MustCompile(`/root/go/|/home/[a-z]+/(go|src|work)/|/Users/[A-Za-z]+/|[A-Z]:\\Users\\`)
	for _, f := range readTree(t).texts {
		if strings.HasPrefix(f.path, "internal/house/") {
			continue
		}
		for i, line := range strings.Split(string(f.data), "\n") {
			if found := machine.FindString(line); found != "" {
				t.Errorf("%s:%d: %q is a path of somebody's machine: use a relative one, or t.TempDir", f.path, i+1, found)
			}
		}
	}
}

// TestMergesAreDone: git's marks of a conflict stand in no file.
func TestMergesAreDone(t *testing.T) {
	mark := regexp.MustCompile(`(?m)^(<{7}|>{7}) .*$`)
	for _, f := range readTree(t).texts {
		if found := mark.Find(f.data); found != nil {
			t.Errorf("%s: %q: take what both sides say", f.path, found)
		}
	}
}

// sections are the anchors of a Markdown file's headings, as GitHub makes them.
func sections(t *testing.T, name string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	noSign := regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	found := map[string]bool{}
	for _, m := range regexp.MustCompile("(?ms)^```.*?^```|^#+ ([^\n]+)$").FindAllStringSubmatch(string(text), -1) {
		found[strings.ReplaceAll(noSign.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}

// TestLinksLeadSomewhere: relative links of Markdown files, and to sections of them.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, f := range readTree(t).texts {
		if path.Ext(f.path) != ".md" || strings.Contains("/"+f.path, "/testdata/") {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(string(f.data), -1) {
			to, section, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			file := filepath.Join(root, filepath.FromSlash(f.path))
			if to != "" {
				file = filepath.Join(filepath.Dir(file), filepath.FromSlash(to))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which is not there: write it, or take the link out", f.path, to)
				continue
			}
			if section != "" && path.Ext(file) == ".md" && !sections(t, file)[section] {
				t.Errorf("%s links to %s, and no heading there makes that anchor", f.path, m[1])
			}
		}
	}
}

// TestDecisionsAreNumbered: docs/adr is a row without gaps.
func TestDecisionsAreNumbered(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs", "adr", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no decision records in docs/adr: %v", err)
	}
	form := regexp.MustCompile(`^(\d{4})-[a-z0-9-]+\.md$`)
	for i, f := range files {
		m := form.FindStringSubmatch(filepath.Base(f))
		if m == nil {
			t.Errorf("%s: name it NNNN-what-was-decided.md", filepath.Base(f))
			continue
		}
		if want := fmt.Sprintf("%04d", i+1); m[1] != want {
			t.Errorf("%s: number %s is expected here", filepath.Base(f), want)
		}
	}
}

// TestEveryPageIsFound: a page that the README does not link is read by nobody.
func TestEveryPageIsFound(t *testing.T) {
	p := readTree(t)
	readme, _ := p.text("README.md")
	for _, f := range p.texts {
		if path.Dir(f.path) == "docs" && path.Ext(f.path) == ".md" && !strings.Contains(string(readme), "]("+f.path+")") {
			t.Errorf("README.md does not link %s: say under More what it is for", f.path)
		}
	}
}
