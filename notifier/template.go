package notifier

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"

	"github.com/backout-io/backout"
)

//go:embed defaults/default.tmpl
var defaultTemplates string

const defaultFile = "default.tmpl"

// DefaultTemplates returns the text of the built-in templates, as a start for
// one's own.
func DefaultTemplates() string { return defaultTemplates }

// Style is how one channel type writes text.
type Style struct {
	// Kind is the channel type: a template "slack.red.text" goes before
	// "red.text" on channels of kind slack.
	Kind string
	// Escape makes one value from outside harmless; nil means plain text.
	Escape func(string) string
	// Time writes a time, Link an address that has been escaped already; nil
	// means plain text, times in UTC.
	Time func(time.Time) string
	Link func(url string) string
}

// Templates turn notices into words. They are ready for use by many goroutines.
//
// A message has two templates, "MOMENT.subject" (made one line) and
// "MOMENT.text"; with the channel type before it ("slack.MOMENT.text") a template
// is for that type alone. The data is a [backout.Notice] whose every value was
// made harmless for the channel before: templates handle data only.
type Templates struct {
	set *template.Template
}

// Default returns the built-in templates.
func Default() *Templates {
	t, problems := NewTemplates(nil)
	if problems != nil {
		panic("built-in templates: " + problems.Error())
	}
	return t
}

// Render writes the message of a notice. The message can be sent whatever the
// error is: it says that a template failed and the built-in plain text took its
// place.
func (t *Templates) Render(s Style, n backout.Notice, thread *backout.Receipt) (backout.Message, error) {
	data := inert(n, s.Escape)
	subject, err1 := t.run(s, n.Moment, "subject", data)
	text, err2 := t.run(s, n.Moment, "text", data)
	if err1 != nil {
		subject = fallbackSubject(data)
	}
	if err2 != nil {
		text = fallbackText(data)
	}
	return backout.Message{
		Notice:  n,
		Subject: Cut(OneLine(subject), MaxSubject),
		Text:    Cut(tidy(text), MaxText),
		Thread:  thread,
	}, errors.Join(err1, err2)
}

func (t *Templates) run(s Style, moment backout.Moment, part string, data backout.Notice) (string, error) {
	name := string(moment) + "." + part
	if own := s.Kind + "." + name; t.set.Lookup(own) != nil {
		name = own
	}
	if t.set.Lookup(name) == nil {
		return "", fmt.Errorf("render notice: there is no template %q", name)
	}
	set, err := t.set.Clone()
	if err != nil {
		return "", fmt.Errorf("render notice: %w", err)
	}
	return execute(set.Funcs(functions(s)), name, data)
}

// tidy takes out what templates leave behind: white space at the ends of lines
// and more than one empty line in a row.
func tidy(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	kept := lines[:0]
	for _, line := range lines {
		line = strings.TrimRight(line, " \t\r")
		if line == "" && len(kept) > 0 && kept[len(kept)-1] == "" {
			continue
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, "\n")
}

// execute runs one template, with an end to its output.
func execute(set *template.Template, name string, data backout.Notice) (string, error) {
	var out capped
	if err := set.ExecuteTemplate(&out, name, data); err != nil && !errors.Is(err, errLong) {
		return "", fmt.Errorf("render notice: %w", err)
	}
	if strings.TrimSpace(out.String()) == "" {
		return "", fmt.Errorf("render notice: template %q wrote nothing", name)
	}
	return out.String(), nil
}

// errLong ends a template whose output nobody would see.
var errLong = errors.New("output is too long")

// capped keeps the beginning of what is written to it.
type capped struct{ strings.Builder }

// Write implements [io.Writer].
func (c *capped) Write(p []byte) (int, error) {
	if c.Len() > 4*MaxText {
		return 0, errLong
	}
	return c.Builder.Write(p)
}

// about names what a notice is about: its change, or the server itself.
func about(n backout.Notice) string {
	if n.ChangeID == "" {
		return "backout"
	}
	return n.ChangeID
}

func fallbackSubject(n backout.Notice) string {
	return fmt.Sprintf("[%s] %s", about(n), strings.ReplaceAll(string(n.Moment), "_", " "))
}

// fallbackText says everything a notice holds, without any template.
func fallbackText(n backout.Notice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", about(n), strings.ReplaceAll(string(n.Moment), "_", " "))
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "\n%s: %s", label, value)
		}
	}
	line("If nobody acts", n.IfNobodyActs)
	if !n.Deadline.IsZero() {
		line("At", utc(n.Deadline))
	}
	line("Title", n.Title)
	line("Rollback", n.RollbackID)
	line("Level", n.Level)
	line("Next level", n.NextLevel)
	line("Why", n.Reason)
	line("What", n.Summary)
	line("Lost for good", n.Loses)
	line("Targets", few(20, n.Targets))
	line("Alert", n.AlertName)
	line("Rule", n.Rule)
	line("Reopened by going back", few(10, n.CVEs))
	if n.VotesNeeded > 0 {
		line("Votes", fmt.Sprintf("%d of %d", n.VotesGiven, n.VotesNeeded))
	}
	line("Notice of", utc(n.At))
	line("See", n.URL)
	return b.String()
}
