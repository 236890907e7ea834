package slack

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

// workspace plays Slack's chat.postMessage, as far as docs.slack.dev describes
// it.
type workspace struct {
	url string

	mu     sync.Mutex
	answer http.HandlerFunc
	posts  []url.Values
}

func newWorkspace(t *testing.T) *workspace {
	w := &workspace{}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL + "/api/"
	return w
}

func (w *workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/api/chat.postMessage" || r.ParseForm() != nil {
		http.NotFound(rw, r)
		return
	}
	w.mu.Lock()
	answer := w.answer
	w.mu.Unlock()
	if answer != nil {
		answer(rw, r)
		return
	}
	w.mu.Lock()
	w.posts = append(w.posts, r.PostForm)
	w.mu.Unlock()
	_ = json.NewEncoder(rw).Encode(map[string]any{"ok": true, "channel": r.PostForm.Get("channel"), "ts": "1503435956.000247"})
}

func (w *workspace) take() []url.Values {
	w.mu.Lock()
	defer w.mu.Unlock()
	posts := w.posts
	w.posts = nil
	return posts
}

func (w *workspace) say(answer http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

func sayError(code string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization") + r.PostForm.Get("token")
		_ = json.NewEncoder(rw).Encode(map[string]any{"ok": false, "error": code, "response_metadata": map[string]any{"messages": []string{token}}})
	}
}

func sayStatus(status int, retryAfter string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if retryAfter != "" {
			rw.Header().Set("Retry-After", retryAfter)
		}
		http.Error(rw, "you said "+r.Header.Get("Authorization")+r.PostForm.Get("token"), status)
	}
}

// Set implements [notifiertest.Peer].
func (w *workspace) Set(a notifiertest.Answer) {
	w.say(map[notifiertest.Answer]http.HandlerFunc{
		notifiertest.Fail: sayStatus(503, ""), notifiertest.Refuse: sayError("invalid_auth"), notifiertest.Later: sayStatus(429, "120"),
		notifiertest.Hang: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	}[a])
}

// Deliveries implements [notifiertest.Peer].
func (w *workspace) Deliveries() []notifiertest.Delivery {
	var out []notifiertest.Delivery
	for _, form := range w.take() {
		out = append(out, read(form))
	}
	return out
}

var control = regexp.MustCompile(`<([^>]*)>`)

// read shows a post as a reader would see it.
func read(form url.Values) notifiertest.Delivery {
	var meta struct {
		EventPayload map[string]string `json:"event_payload"`
	}
	_ = json.Unmarshal([]byte(form.Get("metadata")), &meta)
	var blocks []struct {
		Type string
		Text struct {
			Type, Text string
			Verbatim   bool
		}
	}
	d := notifiertest.Delivery{ID: meta.EventPayload["id"], Thread: form.Get("thread_ts")}
	if err := json.Unmarshal([]byte(form.Get("blocks")), &blocks); err != nil {
		d.Shape = append(d.Shape, "blocks: "+err.Error())
	}
	for key := range form {
		d.Shape = append(d.Shape, "field "+key)
	}
	var text []string
	for _, b := range blocks {
		text = append(text, b.Text.Text)
		if b.Type != "section" || b.Text.Type != "mrkdwn" || !b.Text.Verbatim || len(b.Text.Text) > 3000 {
			d.Shape = append(d.Shape, "block "+b.Type+" "+b.Text.Type)
		}
	}
	if len(blocks) > 50 {
		d.Shape = append(d.Shape, "more than 50 blocks")
	}
	for _, m := range control.FindAllStringSubmatch(form.Get("text")+"\n"+strings.Join(text, "\n"), -1) {
		switch {
		case strings.HasPrefix(m[1], "!date^"):
			d.Shape = append(d.Shape, "date")
		default:
			d.Shape = append(d.Shape, "control "+m[1])
		}
	}
	d.Subject, d.Text = shown(form.Get("text")), shown(strings.Join(text, "\n"))
	slices.Sort(d.Shape)
	return d
}

func shown(text string) string {
	text = control.ReplaceAllStringFunc(text, func(m string) string {
		_, label, _ := strings.Cut(strings.Trim(m, "<>"), "|")
		return label
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

func newNotifier(t *testing.T, w *workspace) *Notifier {
	t.Helper()
	n, err := New(Config{Token: backout.SecretValue(notifiertest.SecretText), Channel: "C024BE91L", APIURL: w.url})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifiertest.Run(t, notifiertest.Subject{
		Kind: Kind(),
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			w := newWorkspace(t)
			return newNotifier(t, w), w
		},
	})
}

func message(moment backout.Moment, thread *backout.Receipt) backout.Message {
	m, _ := notifier.Default().Render(Kind().Style(), notifier.Samples(moment)[0], thread)
	return m
}

func TestPostSaysWhatSlackWants(t *testing.T) {
	w := newWorkspace(t)
	r, err := newNotifier(t, w).Notify(t.Context(), message(backout.MomentRed, nil))
	if err != nil {
		t.Fatal(err)
	}
	if want := (backout.Receipt{Ref: "1503435956.000247", Channel: "C024BE91L"}); r != want {
		t.Errorf("receipt %+v, want %+v", r, want)
	}
	form := w.take()[0]
	want := map[string]string{"channel": "C024BE91L", "unfurl_links": "false", "unfurl_media": "false", "parse": "none", "thread_ts": "", "reply_broadcast": ""}
	got := map[string]string{}
	for k := range want {
		got[k] = form.Get(k)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fields (-want +got):\n%s", d)
	}
	if v := form.Get("link_names"); v != "" && v != "0" && v != "false" {
		t.Errorf("link_names is %q", v)
	}
}

func TestRepliesThatPeopleMustSeeAreBroadcast(t *testing.T) {
	w := newWorkspace(t)
	n := newNotifier(t, w)
	loud := []backout.Moment{
		backout.MomentApproval, backout.MomentLevelStarted, backout.MomentEscalated, backout.MomentHeld,
		backout.MomentInDoubt, backout.MomentRecovered, backout.MomentExhausted,
		backout.MomentLastCall, backout.MomentVoided, backout.MomentBreakGlass, backout.MomentUnreachable,
	}
	for _, moment := range backout.Moments() {
		if _, err := n.Notify(t.Context(), message(moment, &backout.Receipt{Ref: "1.2", Channel: "C024BE91L"})); err != nil {
			t.Fatal(err)
		}
		form := w.take()[0]
		if form.Get("thread_ts") != "1.2" {
			t.Errorf("%s: not in the thread", moment)
		}
		if got, want := form.Get("reply_broadcast") == "true", slices.Contains(loud, moment); got != want {
			t.Errorf("%s: broadcast %v, want %v", moment, got, want)
		}
	}
}

func TestThreadOfAnotherChannelIsNotReplied(t *testing.T) {
	w := newWorkspace(t)
	if _, err := newNotifier(t, w).Notify(t.Context(), message(backout.MomentHeld, &backout.Receipt{Ref: "1.2", Channel: "COLDCHANNEL"})); err != nil {
		t.Fatal(err)
	}
	if form := w.take()[0]; form.Has("thread_ts") || form.Has("reply_broadcast") {
		t.Errorf("replied to a thread of another channel: %v", form)
	}
}

// TestAThreadThatTakesNoReplyKeepsNothingBack: notices go out in order, so one that is
// tried in vain for a day would keep back all that come after it.
func TestAThreadThatTakesNoReplyKeepsNothingBack(t *testing.T) {
	for _, code := range []string{
		"cannot_reply_to_message", "thread_not_found", "restricted_action_thread_locked", "restricted_action_non_threadable_channel",
	} {
		w := newWorkspace(t)
		threads := make(chan string, 9)
		w.say(func(rw http.ResponseWriter, r *http.Request) {
			threads <- r.PostForm.Get("thread_ts")
			if r.PostForm.Has("thread_ts") {
				sayError(code)(rw, r)
				return
			}
			_, _ = rw.Write([]byte(`{"ok": true, "channel": "C024BE91L", "ts": "2.3"}`))
		})
		r, err := newNotifier(t, w).Notify(t.Context(), message(backout.MomentHeld, &backout.Receipt{Ref: "1.2", Channel: "C024BE91L"}))
		close(threads)
		var posted []string
		for thread := range threads {
			posted = append(posted, thread)
		}
		if err != nil || r.Ref != "2.3" || strings.Join(posted, ",") != "1.2," {
			t.Errorf("%s: posted in threads %q: %+v, %v", code, posted, r, err)
		}
	}
}

func TestErrorsAreSorted(t *testing.T) {
	w := newWorkspace(t)
	n := newNotifier(t, w)
	for _, c := range []struct {
		name      string
		answer    http.HandlerFunc
		permanent bool
		says      string
	}{
		{"token", sayError("invalid_auth"), true, "replace the token"},
		{"revoked", sayError("token_revoked"), true, "replace the token"},
		{"scope", sayError("missing_scope"), true, "chat:write"},
		{"unknown channel", sayError("channel_not_found"), true, "check the id"},
		{"not invited", sayError("not_in_channel"), true, "invite"},
		{"archived", sayError("is_archived"), true, "archived"},
		{"forbidden", sayError("restricted_action"), true, "administrators"},
		{"template", sayError("invalid_blocks"), true, "templates"},
		{"passing code", sayError("internal_error"), false, "internal_error"},
		{"rate limit as code", sayError("ratelimited"), false, "ratelimited"},
		{"unknown code", sayError("something_new"), false, "something_new"},
		{"429 without a time", sayStatus(429, ""), false, "429"},
		{"500", sayStatus(500, ""), false, "500"},
		{"404", sayStatus(404, ""), true, "api_url"},
		{"302", sayStatus(302, ""), true, "api_url"},
		{"no JSON", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }, false, "slack"},
	} {
		w.say(c.answer)
		_, err := n.Notify(t.Context(), message(backout.MomentHeld, nil))
		if err == nil || backout.IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, permanent %v; want permanent %v and %q in it", c.name, err, backout.IsPermanent(err), c.permanent, c.says)
		}
	}
}

func TestRedirectDoesNotCarryTheToken(t *testing.T) {
	reached := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Header.Get("Authorization") }))
	defer other.Close()
	w := newWorkspace(t)
	w.say(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, other.URL, http.StatusTemporaryRedirect)
	})
	if _, err := newNotifier(t, w).Notify(t.Context(), message(backout.MomentHeld, nil)); err == nil {
		t.Error("a redirect was taken for success")
	}
	select {
	case got := <-reached:
		t.Errorf("the redirect was followed, with %q", got)
	default:
	}
}

func TestSlackThatIsDownPasses(t *testing.T) {
	w := newWorkspace(t)
	n, err := New(Config{Token: backout.SecretValue("t"), Channel: "C024BE91L", APIURL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	_ = w
	if _, err := n.Notify(t.Context(), message(backout.MomentHeld, nil)); err == nil || backout.IsPermanent(err) {
		t.Errorf("error %v, permanent %v; want one that passes", err, backout.IsPermanent(err))
	}
}

func TestConfigIsChecked(t *testing.T) {
	token := backout.SecretValue("t")
	for _, c := range []struct {
		name   string
		config Config
		says   string
	}{
		{"no token", Config{Channel: "C024BE91L"}, "token is missing"},
		{"no channel", Config{Token: token}, "channel"},
		{"name of a channel", Config{Token: token, Channel: "#ops"}, "not a channel's id"},
		{"address", Config{Token: token, Channel: "C024BE91L", APIURL: "slack.example"}, "api_url"},
		{"address that anybody on the way reads", Config{Token: token, Channel: "C024BE91L", APIURL: "http://slack.example/api/"}, "unencrypted"},
		{"address with a user", Config{Token: token, Channel: "C024BE91L", APIURL: "https://u:p@slack.example/"}, "api_url"},
	} {
		_, err := New(c.config)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
	if _, err := New(Config{Token: backout.NewSecret(backout.SecretRef{Env: "X"}), Channel: "C024BE91L"}); err == nil {
		t.Error("an empty token was taken")
	}
}

func TestSectionIsReadAndBuilt(t *testing.T) {
	section, err := Kind().Decode(func(into any) error {
		return json.Unmarshal([]byte(`{"token": {"env": "SLACK_TOKEN"}, "channel": "C024BE91L"}`), into)
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := Kind().Build(context.Background(), section, func(config any) error {
		c := config.(*Config)
		c.Token = c.Token.WithValue("xoxb-1")
		return nil
	})
	if err != nil || n == nil {
		t.Fatalf("build: %v", err)
	}
	if _, err := Kind().Build(context.Background(), section, nil); err == nil {
		t.Error("built without a token")
	}
}

func TestLongTextsAreCutIntoSections(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("a line of words\n", 600), strings.Repeat("word ", 2500), strings.Repeat("&amp;", 2200), strings.Repeat("é", 5000), "short", "",
	} {
		var all strings.Builder
		for _, s := range sections(text) {
			if len(s) > 3000 || strings.TrimSpace(s) == "" {
				t.Errorf("a section has %d bytes", len(s))
			}
			if i := strings.LastIndexByte(s, '&'); i >= 0 && !strings.Contains(s[i:], ";") {
				t.Errorf("a section ends within an escape sequence: %q", s[i:])
			}
			all.WriteString(s)
		}
		strip := strings.NewReplacer("\n", "", " ", "")
		if strip.Replace(all.String()) != strip.Replace(text) {
			t.Errorf("text was lost: %d of %d bytes left", all.Len(), len(text))
		}
	}
}

func TestTimesAndLinks(t *testing.T) {
	at := time.Unix(1392734382, 0)
	if got, want := date(at), "<!date^1392734382^{date_short_pretty} {time}|2014-02-18 14:39 UTC>"; got != want {
		t.Errorf("date: %s, want %s", got, want)
	}
	for in, want := range map[string]string{
		"https://b.example/r/1":           "<https://b.example/r/1|Open in backout>",
		"https://b.example/?a=1&amp;b|c":  "<https://b.example/?a=1&amp;b%7Cc|Open in backout>",
		"javascript:alert(1)":             "javascript:alert(1)",
		"https://b.example/ &lt;!channel": "https://b.example/ &lt;!channel",
		"harmless":                        "harmless",
	} {
		if got := link(in); got != want {
			t.Errorf("link(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCancelledIsNotSlacksFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newNotifier(t, newWorkspace(t)).Notify(ctx, message(backout.MomentHeld, nil))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
