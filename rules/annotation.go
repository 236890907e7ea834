package rules

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"github.com/backout-io/backout"
)

// maxAnnotation is how many bytes one annotation may have; the rest is cut.
const maxAnnotation = 2048

// annotation is one text of a rule, as a Go text/template.
type annotation struct {
	name string
	text *template.Template
}

// annotationData is what an annotation can show. Texts of the alert enter it as
// values only; none is ever parsed.
type annotationData struct {
	Change   *backout.Change
	Alert    *backout.Alert
	Target   namedTarget
	Targets  targetNames
	Evidence backout.Evidence
}

// namedTarget prints as its name.
type namedTarget struct{ backout.Target }

// String is the target's name.
func (t namedTarget) String() string { return t.Name }

// targetNames prints as "a, b, c".
type targetNames []string

// String joins the names.
func (t targetNames) String() string { return strings.Join(t, ", ") }

// newAnnotation parses a template and runs it on samples, so that a field that
// does not exist is found when the rule is loaded.
func newAnnotation(name, text string) (annotation, error) {
	t, err := template.New(name).Option("missingkey=zero").Funcs(template.FuncMap{
		"join": func(sep string, list []string) string { return strings.Join(list, sep) },
	}).Parse(text)
	if err != nil {
		return annotation{}, templateError(err)
	}
	if len(t.Templates()) > 1 {
		return annotation{}, errors.New("define and block are not allowed in an annotation")
	}
	if t.Tree != nil {
		if err := allowTemplate(t.Root); err != nil {
			return annotation{}, err
		}
	}
	a := annotation{name: name, text: t}
	for _, sample := range []annotationData{fullSample(), {Change: &backout.Change{}, Alert: &backout.Alert{}}} {
		if _, err := a.execute(sample); err != nil {
			return annotation{}, err
		}
	}
	return a, nil
}

// allowTemplate refuses loops and calls of other templates: without them the
// work of a template is bounded by its length.
func allowTemplate(node parse.Node) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := allowTemplate(child); err != nil {
				return err
			}
		}
	case *parse.RangeNode:
		return errors.New("range is not allowed in an annotation: lists are printed whole, or with join")
	case *parse.TemplateNode:
		return errors.New("template is not allowed in an annotation")
	case *parse.IfNode:
		return errors.Join(allowTemplate(n.List), allowTemplate(n.ElseList))
	case *parse.WithNode:
		return errors.Join(allowTemplate(n.List), allowTemplate(n.ElseList))
	}
	return nil
}

func (a annotation) execute(data annotationData) (string, error) {
	out := &capped{}
	if err := a.text.Execute(out, data); err != nil && !errors.Is(err, errFull) {
		return "", templateError(err)
	}
	return out.text(), nil
}

// templateError drops the words in front of the package's own message.
func templateError(err error) error {
	text := strings.TrimPrefix(err.Error(), "template: ")
	if _, rest, ok := strings.Cut(text, ">: "); ok {
		text = rest
	}
	return fmt.Errorf("%s", short(text))
}

var errFull = errors.New("annotation is full")

// capped keeps the first maxAnnotation bytes and ends the template's run after
// them.
type capped struct {
	bytes.Buffer
	full bool
}

// Write implements [io.Writer].
func (c *capped) Write(p []byte) (int, error) {
	if room := maxAnnotation - c.Len(); len(p) > room {
		c.full = true
		c.Buffer.Write(p[:room])
		return room, errFull
	}
	return c.Buffer.Write(p)
}

func (c *capped) text() string {
	text := c.String()
	if c.full {
		for i := 0; i < utf8.UTFMax && text != ""; i++ {
			if r, _ := utf8.DecodeLastRuneInString(text); r != utf8.RuneError {
				break
			}
			text = text[:len(text)-1]
		}
		text += "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func fullSample() annotationData {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	labels := map[string]string{"alertname": "Example", "instance": "web-1"}
	return annotationData{
		Change: &backout.Change{
			ChangeSpec: backout.ChangeSpec{
				ID: "CHG1", Title: "example", Targets: []string{"web-1"}, Plan: "example", Owner: "owner",
				Patch:        backout.Patch{Kind: "packages", IDs: []string{"a-1"}, CVEs: []string{"CVE-2026-1"}},
				Stakeholders: []string{"ops"}, Labels: labels,
			},
			State: backout.ChangeWatching, Requester: "requester", PlannedAt: at, OpenedAt: at, PatchedAt: at, WatchUntil: at,
			EndedAt: at, Frozen: &backout.FrozenPlan{},
		},
		Alert:    &backout.Alert{Fingerprint: "0", Firing: true, Labels: labels, Annotations: labels, StartsAt: at},
		Target:   namedTarget{backout.Target{Name: "web-1", OS: "linux", Site: "here", Labels: labels}},
		Targets:  targetNames{"web-1"},
		Evidence: backout.Evidence{RedTargets: 1, RedSharePatched: 1, RedShareUnpatched: 1, DistinctAlerts: 1, MinutesSincePatch: 1},
	}
}
