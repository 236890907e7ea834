package ruletest

import (
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// The elements are those of the schema that Jenkins checks reports against,
// junit-10.xsd of its xUnit plug-in. GitLab reads a subset of them: it shows a test
// case by classname and name, and the text of its failure.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		File     string      `xml:"file,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Error     *junitMessage `xml:"error"`
		Failure   *junitMessage `xml:"failure"`
	}
	junitMessage struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as JUnit XML. A file that could not be read is a test
// case of its own with an error, so that it cannot be overlooked. There are no
// times: the same files give the same report.
func (r *Report) JUnit(w io.Writer) error {
	all := junitSuites{Name: "backout rules test"}
	for i := range r.Files {
		s := r.Files[i].junit()
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode JUnit report: %w", err)
	}
	if _, err := io.WriteString(w, xml.Header+string(data)+"\n"); err != nil {
		return fmt.Errorf("write JUnit report: %w", err)
	}
	return nil
}

func (f *FileResult) junit() junitSuite {
	s := junitSuite{Name: f.File, File: f.File}
	// Jenkins takes what stands before the last dot for a package.
	class := strings.TrimSuffix(f.File, filepath.Ext(f.File))
	if err := f.Problems.Fatal(); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		s.Errors = 1
		s.Cases = append(s.Cases, junitCase{Name: "load", ClassName: class, Error: &junitMessage{"problem", first, err.Error()}})
	}
	for _, t := range f.Tests {
		c := junitCase{Name: t.Name, ClassName: class}
		// One for each test: GitLab reads no more.
		var lines []string
		for i := range t.Failures {
			lines = append(lines, t.Failures[i].Lines()...)
		}
		if len(t.Failures) > 0 {
			c.Failure = &junitMessage{t.Failures[0].What, t.Failures[0].Title(), strings.Join(lines, "\n")}
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	s.Tests = len(s.Cases)
	return s
}

// Title says in one line what did not come true, and where it is expected.
func (f *Failure) Title() string {
	what := f.What + " are not as expected"
	switch f.What {
	case "error":
		what = f.Error
	case "stopped":
		what = "stopped verdicts are not as expected"
	}
	return fmt.Sprintf("%s:%d:%d: at %s: %s", f.File, f.Line, f.Column, f.At, what)
}

// Lines is the whole failure for people. Its texts are as they came in: who shows
// them cleans them.
func (f *Failure) Lines() []string {
	lines := []string{f.Title()}
	for _, d := range f.Diff {
		lines = append(lines, "  "+d.Sign+" "+d.Text)
	}
	for _, w := range f.Why {
		lines = append(lines, "  "+w.About)
		for _, l := range w.Lines {
			lines = append(lines, "      "+l)
		}
	}
	return lines
}
