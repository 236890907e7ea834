package notifier

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/backout-io/backout"
)

// NewTemplates reads template files (name → text) over the built-in ones: a
// template of the same name takes the built-in one's place. It runs every
// template against sample notices of its moment, so that a mistake shows here
// and not when the notice is needed, and returns all problems it finds. Naming
// the channel types there are finds misspelt ones too.
func NewTemplates(files map[string]string, kinds ...string) (*Templates, backout.Problems) {
	c := checker{set: template.New("").Option("missingkey=error").Funcs(functions(Style{})), from: map[string]string{}, kinds: kinds}
	c.parse(defaultFile, defaultTemplates)
	clear(c.from)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		c.parse(file, files[file])
	}
	if c.problems == nil {
		c.names()
		c.run()
	}
	if c.problems != nil {
		c.problems.Sort()
		return nil, c.problems
	}
	return &Templates{set: c.set}, nil
}

type checker struct {
	set *template.Template
	// from says which file a template of the user's stands in.
	from     map[string]string
	kinds    []string
	problems backout.Problems
}

func (c *checker) parse(file, text string) {
	t, err := template.New(file).Funcs(functions(Style{})).Parse(text)
	if err != nil {
		c.add(file, err, "")
		return
	}
	for _, d := range t.Templates() {
		if d.Name() == file {
			if !parse.IsEmptyTree(d.Root) {
				c.problem(file, text, d.Root, `text outside {{ define "…" }} is never sent`, `put it into {{ define "MOMENT.text" }}…{{ end }}`)
			}
			continue
		}
		if other, twice := c.from[d.Name()]; twice {
			c.problem(file, text, d.Root, fmt.Sprintf("template %q is defined in %s too", d.Name(), other), "keep one of them")
			continue
		}
		c.from[d.Name()] = file
		if _, _, _, ok := split(d.Name()); ok && parse.IsEmptyTree(d.Root) {
			c.problem(file, text, d.Root, fmt.Sprintf("template %q is empty", d.Name()), "write something, or take it out to have the built-in one")
			continue
		}
		if _, err := c.set.AddParseTree(d.Name(), d.Tree); err != nil {
			c.add(file, err, "")
		}
	}
}

// names finds templates that nothing would ever use: misspelt moments.
func (c *checker) names() {
	used := map[string]bool{}
	for _, t := range c.set.Templates() {
		if t.Tree != nil {
			calls(t.Root, used)
		}
	}
	for name, file := range c.from {
		kind, _, _, ok := split(name)
		switch {
		case !ok && !used[name]:
			c.problems = append(c.problems, backout.Problem{
				File: file, What: fmt.Sprintf("template %q is used by nothing", name),
				Fix: "name it MOMENT.subject, MOMENT.text or KIND.MOMENT.text; the moments are " + moments(),
			})
		case ok && kind != "" && len(c.kinds) > 0 && !slices.Contains(c.kinds, kind):
			c.problems = append(c.problems, backout.Problem{
				File: file, What: fmt.Sprintf("template %q is for channel type %q, which does not exist", name, kind),
				Fix: "the channel types are " + strings.Join(c.kinds, ", "),
			})
		}
	}
}

// run executes every template of a moment against every sample of it.
func (c *checker) run() {
	for _, t := range c.set.Templates() {
		_, moment, _, ok := split(t.Name())
		if !ok {
			continue
		}
		for _, sample := range Samples(moment) {
			if _, err := execute(c.set, t.Name(), sample); err != nil {
				c.add(c.from[t.Name()], err, t.Name())
				break
			}
		}
	}
}

// split takes a template's name apart; ok is false when it is no message's.
func split(name string) (kind string, moment backout.Moment, part string, ok bool) {
	head, part, found := cutLast(name)
	if !found || part != "subject" && part != "text" {
		return "", "", "", false
	}
	if kind, rest, found := cutLast(head); found {
		return kind, backout.Moment(rest), part, slices.Contains(backout.Moments(), backout.Moment(rest))
	}
	return "", backout.Moment(head), part, slices.Contains(backout.Moments(), backout.Moment(head))
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func moments() string {
	names := make([]string, 0, len(backout.Moments()))
	for _, m := range backout.Moments() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// calls notes which templates a tree calls.
func calls(node parse.Node, used map[string]bool) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				calls(child, used)
			}
		}
	case *parse.TemplateNode:
		used[n.Name] = true
	case *parse.IfNode:
		calls(n.List, used)
		calls(n.ElseList, used)
	case *parse.RangeNode:
		calls(n.List, used)
		calls(n.ElseList, used)
	case *parse.WithNode:
		calls(n.List, used)
		calls(n.ElseList, used)
	}
}

// position is how text/template begins its errors: "template: FILE:LINE: what",
// or "template: FILE:LINE:COLUMN: what" with the column counted from 0.
var position = regexp.MustCompile(`^template: (.+?):(\d+):(?:(\d+):)? (?s:(.*))$`)

// add makes a problem of an error of text/template.
func (c *checker) add(file string, err error, name string) {
	for inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), "render notice:"); inner = errors.Unwrap(inner) {
		err = inner
		break
	}
	p := backout.Problem{File: file, What: err.Error(), Fix: "the data is a notice; docs/notifiers.md lists its fields and the functions"}
	if m := position.FindStringSubmatch(err.Error()); m != nil {
		p.File, p.What = m[1], m[4]
		p.Line, _ = strconv.Atoi(m[2])
		if m[3] != "" {
			p.Column, _ = strconv.Atoi(m[3])
			p.Column++
		}
	}
	if name != "" && !strings.Contains(p.What, name) {
		p.What = fmt.Sprintf("template %q: %s", name, p.What)
	}
	if !slices.Contains(c.problems, p) {
		c.problems = append(c.problems, p)
	}
}

func (c *checker) problem(file, text string, at parse.Node, what, fix string) {
	line := 1
	if at != nil {
		line += strings.Count(text[:min(int(at.Position()), len(text))], "\n")
	}
	c.problems = append(c.problems, backout.Problem{File: file, Line: line, What: what, Fix: fix})
}
