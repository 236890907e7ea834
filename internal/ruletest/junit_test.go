package ruletest

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// element is what junit-10.xsd says of one: which attributes it must and may have,
// and what may stand in it.
type element struct{ required, allowed, children []string }

// junitSchema is that part of the schema which concerns what is written here:
// src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd of
// github.com/jenkinsci/xunit-plugin. Of it GitLab reads testsuites, testsuite,
// testcase with name and classname, and the text of failure and error
// (docs.gitlab.com/ci/testing/unit_test_reports).
var junitSchema = map[string]element{
	"testsuites": {allowed: []string{"name", "time", "tests", "failures", "errors"}, children: []string{"testsuite"}},
	"testsuite": {
		required: []string{"name", "tests", "failures", "errors"},
		allowed:  []string{"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
		children: []string{"testsuite", "properties", "testcase", "system-out", "system-err"},
	},
	"testcase": {
		required: []string{"name"}, allowed: []string{"time", "classname", "group"},
		children: []string{"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure", "flakyError", "system-out", "system-err"},
	},
	"failure": {allowed: []string{"type", "message"}},
	"error":   {allowed: []string{"type", "message"}},
}

// checkJUnit holds a report against the schema, and its counts against what is in
// it. It returns the texts of failures and errors.
func checkJUnit(t *testing.T, data string) (texts []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(data))
	var path []string
	counted, said := map[string]int{}, map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			is, known := junitSchema[name]
			switch {
			case !known, len(path) == 0 && name != "testsuites":
				t.Errorf("element %s", name)
			case len(path) > 0 && !slices.Contains(junitSchema[path[len(path)-1]].children, name):
				t.Errorf("%s within %s", name, path[len(path)-1])
			}
			var has []string
			for _, a := range token.Attr {
				has = append(has, a.Name.Local)
				if !slices.Contains(append(is.required, is.allowed...), a.Name.Local) {
					t.Errorf("%s has attribute %s", name, a.Name.Local)
				}
				if n, err := strconv.Atoi(a.Value); err == nil && name == "testsuites" {
					said[a.Name.Local] = n
				}
			}
			for _, a := range is.required {
				if !slices.Contains(has, a) {
					t.Errorf("%s lacks attribute %s", name, a)
				}
			}
			counted[name]++
			path = append(path, name)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if text := strings.TrimSpace(string(token)); text != "" {
				if last := path[len(path)-1]; last != "failure" && last != "error" {
					t.Errorf("text in %s: %q", last, text)
				}
				texts = append(texts, text)
			}
		}
	}
	if said["tests"] != counted["testcase"] || said["failures"] != counted["failure"] || said["errors"] != counted["error"] {
		t.Errorf("testsuites says %v, there are %v", said, counted)
	}
	return texts
}

func junit(t *testing.T, names ...string) string {
	t.Helper()
	r, err := Run(t.Context(), names, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.JUnit(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestJUnitIsWhatJenkinsAndGitLabRead(t *testing.T) {
	report := junit(t, "testdata/web_test.yaml", "testdata/hostile_test.yaml", "testdata/no-such_test.yaml")
	texts := checkJUnit(t, report)
	if len(texts) != 2 || !strings.Contains(texts[0], "- {rule: Errors, mode: ask}") || !strings.Contains(texts[1], "no such file") {
		t.Errorf("texts: %q", texts)
	}
	for _, want := range []string{
		`<testsuites name="backout rules test" tests="4" failures="1" errors="1">`,
		`<testcase name="red for long enough" classname="testdata/web_test"></testcase>`,
	} {
		if !strings.Contains(report, want) {
			t.Errorf("no %s in\n%s", want, report)
		}
	}
	if again := junit(t, "testdata/web_test.yaml", "testdata/hostile_test.yaml", "testdata/no-such_test.yaml"); again != report {
		t.Error("the same files, another report")
	}
}

// TestJUnitOfHostileTexts: a name or a label cannot end an element, and no byte of
// it makes the report unreadable.
func TestJUnitOfHostileTexts(t *testing.T) {
	report := junit(t, "testdata/hostile_test.yaml")
	checkJUnit(t, report)
	if strings.ContainsAny(report, "\x1b\x00") || strings.Contains(report, "<red>") || strings.Contains(report, "]]>") {
		t.Errorf("%q", report)
	}
}
