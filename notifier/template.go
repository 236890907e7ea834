package notifier

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/backout-io/backout"
)

//go:embed defaults/default.tmpl
var defaultTemplates string

//go:embed defaults/stakeholders.tmpl
var plainTemplates string

//go:embed defaults/deciders.tmpl
var deciderTemplates string

//go:embed defaults/record.tmpl
var recordTemplates string

// builtIn are the built-in templates by the name of their file.
func builtIn() map[string]string {
	return map[string]string{
		"default.tmpl": defaultTemplates, "stakeholders.tmpl": plainTemplates, "deciders.tmpl": deciderTemplates, "record.tmpl": recordTemplates,
	}
}

// DefaultTemplates returns the text of the built-in templates, as a start for
// one's own.
func DefaultTemplates() string { return defaultTemplates }

// PlainTemplates returns the text of the built-in templates for stakeholders, who
// read plain words.
func PlainTemplates() string { return plainTemplates }

// Style is how one channel type writes text.
type Style struct {
	// Kind is the channel type: a template "slack.red.text" goes before
	// "red.text" on channels of kind slack.
	Kind string
	// Audience is what kind of people read the notice; empty means what the notice's
	// audience is called by, see [KindOf].
	Audience AudienceKind
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
// "MOMENT.text". With an audience or a kind of audiences before it
// ("stakeholders.MOMENT.text") a template is for those alone, with a channel type
// before all of it ("slack.MOMENT.text", "slack.stakeholders.MOMENT.text") for that
// type; the audience's own go first, then its kind's, then those for all. The data is a [backout.Notice] whose every value was
// made harmless for the channel before: templates handle data only.
type Templates struct {
	set *template.Template
	// own names those that are not built in.
	own map[string]bool
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
	subject, err1 := t.run(s, n, "subject", data)
	text, err2 := t.run(s, n, "text", data)
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

func (t *Templates) run(s Style, n backout.Notice, part string, data backout.Notice) (string, error) {
	name, err := t.choose(s.names(n, part))
	if err != nil {
		return "", err
	}
	set, err := t.set.Clone()
	if err != nil {
		return "", fmt.Errorf("render notice: %w", err)
	}
	return execute(set.Funcs(functions(s)), name, data)
}

// choose returns the first template that there is. Words of one's own for all go before
// the built-in ones for deciders and the record, which say the same as those for all;
// those for stakeholders leave out what the others say.
func (t *Templates) choose(names []string) (string, error) {
	there := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return t.set.Lookup(name) == nil })
	if len(there) == 0 {
		return "", fmt.Errorf("render notice: there is no template %q", names[len(names)-1])
	}
	kind, _, _ := strings.Cut(there[0], ".")
	if !t.own[there[0]] && (kind == string(Deciders) || kind == string(Record)) {
		if i := slices.IndexFunc(there, func(name string) bool { return t.own[name] }); i > 0 {
			return there[i], nil
		}
	}
	return there[0], nil
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
	line("Known to be exploited", few(10, n.Exploited))
	line("Who may say yes", few(10, n.Groups))
	line("Who may not", few(10, n.Excluded))
	line("What would run", few(10, n.Steps))
	line("Plan", n.PlanHash)
	if n.VotesNeeded > 0 {
		line("Votes", fmt.Sprintf("%d of %d", n.VotesGiven, n.VotesNeeded))
	}
	line("Notice of", utc(n.At))
	line("See", n.URL)
	return b.String()
}
