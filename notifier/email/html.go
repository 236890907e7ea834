package email

import (
	_ "embed" // for the page
	"fmt"
	"html/template"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

//go:embed mail.html
var mailHTML string

// page is the mail for programs that show HTML: the words of the text, below what
// matters most at night. It has no picture, script or address but the notice's own, and
// no colour of its own for text or ground, so that it is readable where mail is shown
// dark. What stands in a notice adds no element: only whether something stands there
// does.
type page struct {
	Subject string
	// Color is that of the bar beside the subject, which says the same in words.
	Color template.CSS
	Facts []fact
	Text  string
	// URL is where the button leads; empty for no button.
	URL string
}

type fact struct{ Label, Value string }

// writeHTML writes the page of a message. The template escapes every word of it.
func writeHTML(m backout.Message, subject string) (string, error) {
	t, err := template.New("mail").Parse(mailHTML)
	if err != nil {
		return "", fmt.Errorf("read the mail's page: %w", err)
	}
	var out strings.Builder
	err = t.Execute(&out, page{
		Subject: subject, Color: color(m.Notice.Moment), Facts: facts(m.Notice), Text: strings.ToValidUTF8(m.Text, "\uFFFD"), URL: notifier.WebAddress(m.Notice.URL),
	})
	if err != nil {
		return "", fmt.Errorf("write the mail's page: %w", err)
	}
	return out.String(), nil
}

// facts are what happens if nobody acts, when, and what it costs.
func facts(n backout.Notice) []fact {
	var list []fact
	add := func(label, value string) {
		if value != "" {
			list = append(list, fact{label, notifier.Plain(value)})
		}
	}
	add("If nobody acts", n.IfNobodyActs)
	if !n.Deadline.IsZero() {
		add("At", n.Deadline.UTC().Format("2006-01-02 15:04 UTC"))
	}
	if n.VotesNeeded > 0 {
		add("Votes", fmt.Sprintf("%d of %d", n.VotesGiven, n.VotesNeeded))
	}
	add("Lost for good", n.Loses)
	return list
}

// color is readable on white and on black.
func color(m backout.Moment) template.CSS {
	switch notifier.SeverityOf(m) {
	case notifier.SeverityCritical, notifier.SeverityError:
		return "#d1242f"
	case notifier.SeverityWarning:
		return "#bf8700"
	case notifier.SeverityInfo:
	}
	if notifier.StateOf(m) == notifier.StateEnded {
		return "#2da44e"
	}
	return "#57606a"
}
