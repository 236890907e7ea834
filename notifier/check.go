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
	return NewTemplatesFor(files, Known{Channels: kinds})
}

// NewTemplatesFor is [NewTemplates] that knows who reads: every template runs for
// every audience that it may be for, and one for nobody is a problem.
func NewTemplatesFor(files map[string]string, known Known) (*Templates, backout.Problems) {
	c := checker{set: template.New("").Option("missingkey=error").Funcs(functions(Style{})), from: map[string]string{}, known: known}
	for file, text := range builtIn() {
		c.parse(file, text)
	}
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
	own := map[string]bool{}
	for name := range c.from {
		own[name] = true
	}
	return &Templates{set: c.set, own: own}, nil
}

type checker struct {
	set *template.Template
	// from says which file a template of the user's stands in.
	from     map[string]string
	known    Known
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
		if split(d.Name()).ok && parse.IsEmptyTree(d.Root) {
			c.problem(file, text, d.Root, fmt.Sprintf("template %q is empty", d.Name()), "write something, or take it out to have the built-in one")
			continue
		}
		if _, err := c.set.AddParseTree(d.Name(), d.Tree); err != nil {
			c.add(file, err, "")
		}
	}
}

// names finds templates that nothing would ever use: misspelt moments, audiences
// and channel types.
func (c *checker) names() {
	used := map[string]bool{}
	for _, t := range c.set.Templates() {
		if t.Tree != nil {
			calls(t.Root, used)
		}
	}
	for name, file := range c.from {
		n := split(name)
		if !n.ok {
			if !used[name] {
				c.problems = append(c.problems, backout.Problem{
					File: file, What: fmt.Sprintf("template %q is used by nothing", name),
					Fix: "name it MOMENT.subject or MOMENT.text, with an AUDIENCE before it, and a channel TYPE before all; the moments are " + moments(),
				})
			}
			continue
		}
		if what, fix := c.forNobody(n); what != "" {
			c.problems = append(c.problems, backout.Problem{File: file, What: fmt.Sprintf("template %q is for %s, which does not exist", name, what), Fix: fix})
		}
	}
}

// forNobody says what a template is for that there is not.
func (c *checker) forNobody(n templateName) (what, fix string) {
	types := "the channel types are " + strings.Join(c.known.Channels, ", ")
	audiences := "the audiences are " + strings.Join(slices.Concat(c.known.Audiences, kindNames()), ", ")
	switch len(n.before) {
	case 1:
		first := n.before[0]
		isKind := slices.Contains(kindNames(), first)
		switch {
		case c.known.channel(first) || isKind || c.known.Audiences != nil && c.known.audience(first):
		case c.known.Audiences == nil:
			return fmt.Sprintf("channel type %q", first), types
		default:
			return fmt.Sprintf("channel type or audience %q", first), types + "; " + audiences
		}
	case 2:
		if !c.known.channel(n.before[0]) {
			return fmt.Sprintf("channel type %q", n.before[0]), types
		}
		if !c.known.audience(n.before[1]) {
			return fmt.Sprintf("audience %q", n.before[1]), audiences
		}
	}
	return "", ""
}

func kindNames() []string {
	names := make([]string, 0, len(AudienceKinds()))
	for _, k := range AudienceKinds() {
		names = append(names, string(k))
	}
	return names
}

// run executes every template of a moment against every sample of it, for every
// audience that may read it.
func (c *checker) run() {
	for _, t := range c.set.Templates() {
		n := split(t.Name())
		if !n.ok {
			continue
		}
		if err := c.readable(t.Name(), n); err != nil {
			c.add(c.from[t.Name()], err, t.Name())
		}
	}
}

func (c *checker) readable(name string, n templateName) error {
	for _, audience := range c.readers(n) {
		for _, sample := range Samples(n.moment) {
			if audience != "" {
				sample.Audience = audience
			}
			if _, err := execute(c.set, name, sample); err != nil {
				return err
			}
		}
	}
	return nil
}

// readers are the audiences that a template may be for; an empty name is that of
// the sample.
func (c *checker) readers(n templateName) []string {
	if len(n.before) > 0 {
		if last := n.before[len(n.before)-1]; slices.Contains(c.known.Audiences, last) {
			return []string{last}
		}
	}
	if len(c.known.Audiences) == 0 {
		return []string{""}
	}
	return c.known.Audiences
}

// templateName is a template's name taken apart.
type templateName struct {
	// before is what stands before the moment: a channel type, an audience, or both.
	before []string
	moment backout.Moment
	part   string
	// ok is false when it is no message's.
	ok bool
}

func split(name string) templateName {
	words := strings.Split(name, ".")
	if len(words) < 2 || len(words) > 4 {
		return templateName{}
	}
	n := templateName{before: words[:len(words)-2], moment: backout.Moment(words[len(words)-2]), part: words[len(words)-1]}
	n.ok = (n.part == "subject" || n.part == "text") && slices.Contains(backout.Moments(), n.moment)
	return n
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
