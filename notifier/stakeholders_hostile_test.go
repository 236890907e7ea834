package notifier_test

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

// TestHostileTextsStayTextInPlainWords: values are escaped before the words for
// stakeholders see them, and none of the words' functions takes that back.
func TestHostileTextsStayTextInPlainWords(t *testing.T) {
	style := notifier.Style{Audience: notifier.Stakeholders, Escape: strings.NewReplacer("<", "‹", ">", "›", "&", "＆", "{", "(", "}", ")").Replace}
	words := notifier.Default()
	for _, moment := range backout.Moments() {
		for _, text := range notifiertest.Hostile() {
			n := notifier.Samples(moment)[0]
			for _, field := range []*string{&n.ChangeID, &n.Title, &n.RollbackID, &n.Level, &n.NextLevel, &n.Summary, &n.IfNobodyActs, &n.Loses, &n.Reason, &n.URL} {
				*field = text
			}
			n.Targets, n.CVEs = []string{text}, []string{text}
			m, err := words.Render(style, n, nil)
			if err != nil {
				t.Fatalf("%s, %.40q: %v", moment, text, err)
			}
			if strings.ContainsAny(m.Subject+m.Text, "<>&{}\x1b\x00\u202e") || strings.ContainsAny(m.Subject, "\r\n") {
				t.Errorf("%s, %.40q: %q\n%q", moment, text, m.Subject, m.Text)
			}
		}
	}
}
