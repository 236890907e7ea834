package notifier

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

var angle = Style{Kind: "slack", Escape: strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace}

func templates(t *testing.T, text string) *Templates {
	t.Helper()
	set, problems := NewTemplates(map[string]string{"own.tmpl": text})
	if problems != nil {
		t.Fatal(problems)
	}
	return set
}

func TestEveryMomentHasPlainWords(t *testing.T) {
	words := Default()
	for _, moment := range backout.Moments() {
		for i, n := range Samples(moment) {
			m, err := words.Render(Style{}, n, nil)
			if err != nil {
				t.Errorf("%s, sample %d: %v", moment, i, err)
			}
			if m.Subject == "" || strings.Contains(m.Subject, "\n") || utf8.RuneCountInString(m.Subject) > 200 {
				t.Errorf("%s, sample %d: subject %q", moment, i, m.Subject)
			}
			for _, odd := range []string{"<no value>", "0001-01-01", "  ", " .", " ,", "[]", "\n\n\n", "%!"} {
				if strings.Contains(m.Subject+m.Text, odd) && !strings.Contains(odd, "  ") {
					t.Errorf("%s, sample %d: the text holds %q:\n%s\n%s", moment, i, odd, m.Subject, m.Text)
				}
			}
			if !strings.Contains(m.Text, "backout") && !strings.Contains(m.Text, n.ChangeID) {
				t.Errorf("%s, sample %d: the text does not say what it is about:\n%s", moment, i, m.Text)
			}
		}
	}
}

// TestFirstLineSaysWhatHappensIfNobodyActs: at two in the morning the first line
// is what is read.
func TestFirstLineSaysWhatHappensIfNobodyActs(t *testing.T) {
	for _, moment := range backout.Moments() {
		n := Samples(moment)[0]
		if moment == backout.MomentTest || n.ChangeID == "" {
			continue
		}
		m, _ := Default().Render(Style{}, n, nil)
		first, _, _ := strings.Cut(m.Text, "\n")
		for _, want := range []string{n.ChangeID, "If nobody acts: L2 starts, at 2026-03-14 02:33 UTC (30m after this notice)."} {
			if !strings.Contains(first, want) {
				t.Errorf("%s: %q is not in the first line: %s", moment, want, first)
			}
		}
	}
	for _, moment := range []backout.Moment{backout.MomentHeld, backout.MomentApproval, backout.MomentPaused, backout.MomentGateRefused} {
		samples := Samples(moment)
		m, _ := Default().Render(Style{}, samples[len(samples)-1], nil)
		first, _, _ := strings.Cut(m.Text, "\n")
		if !strings.Contains(first, "Nothing happens by itself.") {
			t.Errorf("%s without a deadline: the first line does not say that nothing happens: %s", moment, first)
		}
	}
}

func TestLockScreenShowsWhatHappensNext(t *testing.T) {
	for moment, want := range map[backout.Moment]string{
		backout.MomentRed:          "[CHG0030001] RED: HTTPErrorsHigh on web-01, web-02 and 1 more; if nobody acts: L2 starts, 02:33 UTC",
		backout.MomentLevelStarted: "[CHG0030001] L1 has started on web-01, web-02 and 1 more; if nobody acts: L2 starts, 02:33 UTC",
		backout.MomentEscalated:    "[CHG0030001] L1 did not help on web-01, web-02 and 1 more; if nobody acts: L2 starts, 02:33 UTC",
		backout.MomentRecovered:    "[CHG0030001] RECOVERED by L1 on web-01, web-02 and 1 more",
	} {
		if m, _ := Default().Render(Style{}, Samples(moment)[0], nil); m.Subject != want {
			t.Errorf("%s:\n got %s\nwant %s", moment, m.Subject, want)
		}
	}
}

// TestNoticesAboutMonitoringNameNoChange: their words stand alone, the built-in ones
// and those that take their place when a template fails.
func TestNoticesAboutMonitoringNameNoChange(t *testing.T) {
	for moment, want := range map[backout.Moment][]string{
		backout.MomentMonitoringBlind: {"MONITORING IS BLIND: red targets may go unseen", "If nobody acts: red targets may go unseen", "2026-03-14T01:53:00Z", "backout monitoring"},
		backout.MomentMonitoringBack:  {"Monitoring is back", "from now on"},
	} {
		for _, n := range Samples(moment) {
			m, err := Default().Render(Style{}, n, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, part := range want {
				if n.Reason != "" && !strings.Contains(m.Subject+"\n"+m.Text, part) {
					t.Errorf("%s: part %d, %q, is not in\n%s\n%s", moment, i, part, m.Subject, m.Text)
				}
			}
			if strings.Contains(m.Subject, "[") || strings.Contains(m.Text, "rollback of") {
				t.Errorf("%s speaks of a change: %s\n%s", moment, m.Subject, m.Text)
			}
			if got := fallbackSubject(n); !strings.HasPrefix(got, "[backout] monitoring") {
				t.Errorf("without a template: %s", got)
			}
		}
	}
}

// TestCommandsInNoticesExist: what a notice tells people to type is in the
// reference of the commands.
func TestCommandsInNoticesExist(t *testing.T) {
	reference, err := os.ReadFile("../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`backout (rollback|change) [a-z]+`).FindAllString(DefaultTemplates(), -1)
	for _, command := range found {
		if !strings.Contains(string(reference), "### "+command+" ") {
			t.Errorf("there is no command %q", command)
		}
	}
	if len(found) < 10 {
		t.Errorf("only %d commands were found", len(found))
	}
}

// TestDeadlineWithoutWordsIsSaidAllTheSame: an alert that must stay red for a
// while has a deadline and no consequence in words.
func TestDeadlineWithoutWordsIsSaidAllTheSame(t *testing.T) {
	n := Samples(backout.MomentRed)[0]
	n.IfNobodyActs = ""
	m, _ := Default().Render(Style{}, n, nil)
	if !strings.Contains(m.Text, "Next: L2, at 2026-03-14 02:33 UTC (30m after this notice).") || !strings.HasSuffix(m.Subject, "; next: L2, 02:33 UTC") {
		t.Errorf("%s\n%s", m.Subject, m.Text)
	}
}

// TestQuestionSaysWhoMayAnswerAndWhatWouldRun: nobody has to look elsewhere before
// they decide.
func TestQuestionSaysWhoMayAnswerAndWhatWouldRun(t *testing.T) {
	m, _ := Default().Render(Style{}, Samples(backout.MomentApproval)[0], nil)
	for _, want := range []string{
		"Votes: 1 of 2.\n", "Who may say yes: leads, but not ana\n", "What would run: undo the patch (dnf.undo), restart nginx (systemd.restart)\n",
		"Known to be exploited: CVE-2026-0001\n", "To say yes: backout rollback approve CHG0030001-r1 --level L2\n",
	} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("%q is not in\n%s", want, m.Text)
		}
	}
}

func TestLevelTextSaysWhatIsLost(t *testing.T) {
	for i, n := range Samples(backout.MomentLevelStarted)[:3] {
		m, _ := Default().Render(Style{}, n, nil)
		if n.Loses != "" && !strings.Contains(m.Text, "Lost for good: "+n.Loses) || !strings.Contains(m.Text, n.Summary) || !strings.Contains(m.Text, n.Level+" of the rollback") {
			t.Errorf("L%d:\n%s", i+1, m.Text)
		}
		if n.Loses == "" && strings.Contains(m.Text, "Lost") {
			t.Errorf("L%d loses nothing and says:\n%s", i+1, m.Text)
		}
	}
}

func TestOwnTemplatesTakeThePlaceOfTheBuiltIn(t *testing.T) {
	set := templates(t, `{{ define "held.subject" }}own {{ .ChangeID | toLower }}{{ end }}
{{ define "slack.held.text" }}only slack: {{ template "mine" .Targets }}{{ end }}
{{ define "mine" }}{{ join "+" . }}{{ end }}
{{ define "backout.end" }}
-- own end{{ end }}`)
	n := Samples(backout.MomentHeld)[0]
	plain, err1 := set.Render(Style{Kind: "email"}, n, nil)
	chat, err2 := set.Render(angle, n, nil)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if plain.Subject != "own chg0030001" || chat.Subject != plain.Subject {
		t.Errorf("subjects %q and %q", plain.Subject, chat.Subject)
	}
	if chat.Text != "only slack: web-01+web-02+web-03" {
		t.Errorf("slack: %q", chat.Text)
	}
	if !strings.Contains(plain.Text, "is held on") || !strings.HasSuffix(plain.Text, "-- own end") {
		t.Errorf("email: %q", plain.Text)
	}
}

func TestValuesAreEscapedBeforeTheTemplate(t *testing.T) {
	set := templates(t, `{{ define "held.text" }}{{ .Title }}|{{ join "," .Targets }}|{{ join "," .CVEs }}|{{ toUpper .Reason }}|{{ .Summary }}{{ end }}`)
	n := backout.Notice{
		Moment: backout.MomentHeld, ChangeID: "C", Title: "<!channel>", Targets: []string{"<@U1>"}, CVEs: []string{"a&b"},
		Reason: "{{ .URL }}\x1b[31m", Summary: "one\r\ntwo\u2028three",
	}
	m, err := set.Render(angle, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "&lt;!channel&gt;|&lt;@U1&gt;|a&amp;b|{{ .URL }}\uFFFD[31M|one\n    two\n    three"; m.Text != want {
		t.Errorf("got  %q\nwant %q", m.Text, want)
	}
	if d := cmp.Diff([]string{"<@U1>"}, n.Targets); d != "" || m.Notice.Title != "<!channel>" {
		t.Errorf("the notice itself was changed:\n%s", d)
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"":                             "",
		"plain äöü 日本 😀":               "plain äöü 日本 😀",
		"a\xffb":                       "a\uFFFDb",
		"\x1b[31mred\x00\x7f":          "\uFFFD[31mred\uFFFD\uFFFD",
		"\u202etxt.exe":                "\uFFFDtxt.exe",
		"web\u200b-01\U000e0041":       "web\uFFFD-01\uFFFD",
		"\U0001f468\u200d\U0001f469":   "\U0001f468\u200d\U0001f469",
		"a\tb":                         "a b",
		"line\nL1 recovered: all well": "line\n    L1 recovered: all well",
		"end\r\n":                      "end",
	} {
		if got := Plain(in); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Plain(strings.Repeat("é", 64<<10)); utf8.RuneCountInString(got) != MaxValue+1 || !strings.HasSuffix(got, "…") {
		t.Errorf("a long value has %d characters", utf8.RuneCountInString(got))
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	for _, c := range []struct {
		name, text string
		at         string
		says       string
	}{
		{"syntax", "\n{{ define \"held.text\" }}{{ if }}{{ end }}", "own.tmpl:2", "missing value for if"},
		{"unknown function", "{{ define \"held.text\" }}{{ safeHtml .Title }}{{ end }}", "own.tmpl:1", `"safeHtml" not defined`},
		{"unknown field", "\n\n{{ define \"held.text\" }}{{ .Titel }}{{ end }}", "own.tmpl:3:28", "Titel"},
		{"unknown template", "{{ define \"held.text\" }}{{ template \"nothing\" . }}{{ end }}", "own.tmpl:1", "nothing"},
		{"unknown moment", "{{ define \"hold.text\" }}x{{ end }}", "own.tmpl", `"hold.text" is used by nothing`},
		{"unknown kind", "{{ define \"slak.held.text\" }}x{{ end }}", "own.tmpl", `channel type "slak"`},
		{"text outside", "hello\n{{ define \"held.text\" }}x{{ end }}", "own.tmpl:1", "never sent"},
		{"empty", "{{ define \"held.text\" }} {{ end }}", "own.tmpl:1", "is empty"},
		{"empty in the end", "{{ define \"held.text\" }}{{ with .AlertName }}{{ end }}{{ end }}", "own.tmpl", "wrote nothing"},
		{"only without details", "{{ define \"held.text\" }}{{ index .Targets 0 }}{{ end }}", "own.tmpl:1", "out of range"},
		{"bad expression", "{{ define \"held.text\" }}{{ reReplaceAll \"(\" \"\" .Title }}{{ end }}", "own.tmpl:1", "regexp"},
		{"zone", "{{ define \"held.text\" }}{{ .At | tz \"Mars/Olympus\" }}{{ end }}", "own.tmpl:1", "Mars/Olympus"},
		{"endless", "{{ define \"held.text\" }}{{ template \"held.text\" . }}{{ end }}", "own.tmpl:1", "depth"},
		{"missing key", "{{ define \"held.text\" }}{{ (dict \"a\" 1).b }}{{ end }}", "own.tmpl:1", "b"},
	} {
		set, problems := NewTemplates(map[string]string{"own.tmpl": c.text}, "slack", "email")
		if set != nil || len(problems) == 0 {
			t.Errorf("%s: no problem was found", c.name)
			continue
		}
		if got := problems[0].String(); !strings.HasPrefix(got, c.at+":") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %s\nwant it at %s with %q in it", c.name, got, c.at, c.says)
		}
	}
}

func TestAllProblemsOfAllFilesAreFound(t *testing.T) {
	_, problems := NewTemplates(map[string]string{
		"a.tmpl": "{{ define \"held.text\" }}{{ .Nope }}{{ end }}{{ define \"red.text\" }}{{ .Nor }}{{ end }}",
		"b.tmpl": "{{ define \"odd\" }}x{{ end }}",
	})
	if len(problems) != 3 {
		t.Errorf("%d problems, want 3:\n%v", len(problems), problems)
	}
	_, problems = NewTemplates(map[string]string{"a.tmpl": "{{ define \"held.text\" }}x{{ end }}", "b.tmpl": "{{ define \"held.text\" }}y{{ end }}"})
	if len(problems) != 1 || !strings.Contains(problems.Error(), "a.tmpl") || problems[0].File != "b.tmpl" {
		t.Errorf("a template defined twice: %v", problems)
	}
}

func TestBrokenTemplateIsReplacedByPlainText(t *testing.T) {
	set := templates(t, `{{ define "held.text" }}{{ if eq .Title "boom" }}{{ index .Targets 7 }}{{ end }}ok{{ end }}
{{ define "held.subject" }}{{ if eq .Title "boom" }}{{ index .Targets 7 }}{{ end }}ok{{ end }}`)
	n := Samples(backout.MomentHeld)[1]
	n.Title, n.Reason = "boom", "<!channel>"
	m, err := set.Render(angle, n, nil)
	if err == nil || !strings.Contains(err.Error(), "own.tmpl:1") {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"CHG0030001: held", "If nobody acts: L3 starts", "02:33", "&lt;!channel&gt;", "Lost for good: everything written", "See: https://"} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("%q is not in:\n%s", want, m.Text)
		}
	}
	if m.Subject != "[CHG0030001] held" {
		t.Errorf("subject %q", m.Subject)
	}
	if m, err := Default().Render(angle, backout.Notice{Moment: "of another release", ChangeID: "C"}, nil); err == nil || m.Text == "" || m.Subject == "" {
		t.Errorf("a moment without a template: %v, %+v", err, m)
	}
}

func TestOutputHasAnEnd(t *testing.T) {
	set := templates(t, `{{ define "held.text" }}{{ range $i := 100000000 }}line {{ $i }}
{{ end }}{{ end }}{{ define "held.subject" }}{{ range $i := 100000000 }}word {{ end }}{{ end }}`)
	begun := time.Now()
	m, err := set.Render(Style{}, Samples(backout.MomentHeld)[0], nil)
	if err != nil || time.Since(begun) > 2*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	if n := utf8.RuneCountInString(m.Text); n > MaxText || n < MaxText/2 || !strings.HasSuffix(m.Text, "…") {
		t.Errorf("the text has %d characters", n)
	}
	if n := utf8.RuneCountInString(m.Subject); n > MaxSubject {
		t.Errorf("the subject has %d characters", n)
	}
}

func TestFunctionsFromAlertmanagerAreThere(t *testing.T) {
	set := templates(t, `{{ define "test.text" }}{{ toUpper "a" }}{{ toLower "B" }} {{ title "one two" }} {{ join "," (stringSlice "x" "y") }} {{ match "^a" "abc" }} {{ reReplaceAll "b+" "-" "abbc" }} {{ trimSpace " z " }} {{ .At | tz "Europe/Berlin" | date "15:04" }} {{ humanizeDuration 90.0 }} {{ between .At .Deadline }}{{ end }}`)
	m, err := set.Render(Style{}, Samples(backout.MomentTest)[0], nil)
	if err != nil || m.Text != "Ab One Two x,y true a-c z 03:03 1m 30s 30m" {
		t.Errorf("%v: %q", err, m.Text)
	}
	for _, name := range []string{"safeHtml", "safeUrl", "routeLabels", "now", "since"} {
		if _, problems := NewTemplates(map[string]string{"x": fmt.Sprintf(`{{ define "test.text" }}{{ %s }}{{ end }}`, name)}); problems == nil {
			t.Errorf("%s may be called", name)
		}
	}
}

func TestTimesSayTheirZone(t *testing.T) {
	at := time.Date(2026, 3, 14, 23, 30, 0, 0, time.FixedZone("", 3600))
	for got, want := range map[string]string{
		utc(at): "2026-03-14 22:30 UTC", clock(at, at.Add(2*time.Hour)): "00:30 UTC", clock(at, at.Add(13*time.Hour)): "2026-03-15 11:30 UTC",
		between(at, at.Add(90*time.Second)): "1m30s", between(at, at.Add(2*time.Hour+29*time.Second)): "2h", between(at, at): "", between(at, at.Add(time.Millisecond)): "1s",
		few(2, []string{"a", "b", "c"}): "a, b and 1 more", few(3, []string{"a"}): "a", few(1, nil): "",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCutEndsAtAWord(t *testing.T) {
	if got := Cut("short", 5); got != "short" {
		t.Errorf("got %q", got)
	}
	for _, text := range []string{strings.Repeat("word ", 100), strings.Repeat("é", 100), strings.Repeat("x", 100)} {
		got := Cut(text, 50)
		if utf8.RuneCountInString(got) > 50 || !utf8.ValidString(got) || !strings.HasSuffix(got, " …") {
			t.Errorf("Cut: %q", got)
		}
	}
}

// FuzzNewTemplates: whatever stands in a template file, it is a problem or it
// renders.
func FuzzNewTemplates(f *testing.F) {
	for _, seed := range []string{
		`{{ define "held.text" }}{{ .Title }}{{ end }}`, `{{ define "slack.red.subject" }}{{ few 2 .Targets }}{{ end }}`, `x`, `{{`, `{{ define "a" }}`,
		`{{ define "held.text" }}{{ template "held.text" . }}{{ end }}`, `{{ block "held.text" . }}{{ end }}`, `{{/* */}}`, `{{ define "" }}x{{ end }}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "range") || strings.Contains(text, "template") {
			return // it may loop for as long as it says
		}
		set, problems := NewTemplates(map[string]string{"own.tmpl": text})
		if (set == nil) == (problems == nil) {
			t.Fatalf("templates %v and problems %v", set, problems)
		}
		if set == nil {
			return
		}
		for _, n := range Samples(backout.MomentHeld) {
			if m, err := set.Render(angle, n, nil); err != nil || m.Text == "" || m.Subject == "" {
				t.Errorf("a template that was accepted failed: %v", err)
			}
		}
	})
}

// FuzzRender: whatever a value holds, it is shown as text.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{"<!channel>", "a\nb", "\xff", "{{ . }}", "\u202e", "&lt;", strings.Repeat("<", 5000)} {
		f.Add(seed)
	}
	set := Default()
	f.Fuzz(func(t *testing.T, value string) {
		n := Samples(backout.MomentApproval)[0]
		n.Title, n.Reason, n.Rule, n.Targets = value, value, value, []string{value, value}
		m, err := set.Render(angle, n, nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(m.Text+m.Subject, "<>\x00\x1b\r") || strings.Contains(m.Subject, "\n") || !utf8.ValidString(m.Text+m.Subject) {
			t.Errorf("subject %q, text %q", m.Subject, m.Text)
		}
	})
}
