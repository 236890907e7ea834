package notifiertest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/hostile"
	"github.com/backout-io/backout/notifier"
)

func secretForms() []string {
	b := []byte(SecretText)
	return []string{
		SecretText, url.QueryEscape(SecretText), url.PathEscape(SecretText), base64.StdEncoding.EncodeToString(b),
		hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), fmt.Sprintf("%q", SecretText)[1:len(SecretText)],
	}
}

// Hostile returns texts that would do something somewhere if they were taken for
// anything but text: more than 200, of every kind there is.
func Hostile() []string { return hostile.Strings() }

// poison puts a text into every field of a notice that holds text. A web address
// stays out of the one field whose meaning is to be an address.
func poison(n backout.Notice, text string) backout.Notice {
	for _, field := range []*string{
		&n.ID, &n.Audience, &n.ChangeID, &n.Title, &n.RollbackID, &n.Level, &n.NextLevel, &n.Summary, &n.Rule, &n.AlertName,
		&n.IfNobodyActs, &n.Loses, &n.Reason, &n.AskID, &n.PlanHash, &n.PlanText,
	} {
		*field = text
	}
	if !strings.HasPrefix(text, "http") {
		n.URL = text
	}
	for _, list := range []*[]string{&n.CVEs, &n.Groups, &n.Excluded, &n.Steps, &n.Exploited} {
		*list = []string{text}
	}
	n.Targets = []string{text, text}
	n.Labels = map[string]string{"team": text}
	return n
}

// hostileContent sends every hostile text in every field, and wants the same
// message with other words.
func hostileContent(t *testing.T, s Subject) {
	n, peer := s.New(t)
	for _, moment := range []backout.Moment{backout.MomentApproval, backout.MomentRed} {
		harmless := poison(sample(moment), "harmless")
		harmless.URL = sample(moment).URL
		_, want := deliver(t, s, n, peer, harmless, nil)
		for i, text := range Hostile() {
			_, got := deliver(t, s, n, peer, poison(sample(moment), text), nil)
			stillText(t, fmt.Sprintf("text %d (%.40q) at %s", i, text, moment), text, got, want)
		}
	}
}

func stillText(t *testing.T, name, text string, got, want Delivery) {
	t.Helper()
	if extra := beyond(got.Shape, want.Shape); len(extra) > 0 {
		t.Errorf("%s: the message has gained %q", name, extra)
	}
	if strings.ContainsAny(got.Subject, "\r\n") {
		t.Errorf("%s: the subject has more than one line: %q", name, got.Subject)
	}
	if shown := notifier.Plain(text); len(shown) < 300 && !strings.Contains(squash(got.Text), squash(shown)) {
		t.Errorf("%s: the text does not show it:\n%s", name, got.Text)
	}
	if !utf8.ValidString(got.Subject + got.Text) {
		t.Errorf("%s: it is no UTF-8", name)
	}
	if i := strings.IndexFunc(got.Text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
		t.Errorf("%s: the text holds the control character %#x", name, got.Text[i])
	}
	// A value with line breaks cannot pass for a line of the message.
	for _, forged := range []string{"L1 recovered: all is well", "If nobody acts: nothing happens", "Votes: 2 of 2"} {
		if strings.HasPrefix(got.Text, forged+"\n") || strings.Contains(got.Text, "\n"+forged+"\n") {
			t.Errorf("%s: it has made a line of its own: %q", name, forged)
		}
	}
}

// squash takes white space out, which messages may wrap.
func squash(s string) string { return strings.Join(strings.Fields(s), "") }

// beyond returns what a has more of than b.
func beyond(a, b []string) []string {
	b = slices.Clone(b)
	var extra []string
	for _, x := range a {
		if i := slices.Index(b, x); i >= 0 {
			b = slices.Delete(b, i, i+1)
			continue
		}
		extra = append(extra, x)
	}
	return extra
}
