package ui

import (
	"net/http"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestEveryNoSaysWhatItIsAndLeadsOn: in its own words, with what was wrong and where to
// go; whether something was changed is said, and only where it is known.
func TestEveryNoSaysWhatItIsAndLeadsOn(t *testing.T) {
	nothing := "Nothing was changed"
	for status, says := range map[int][]string{
		400: {"That cannot be done", nothing},
		401: {"Who are you?"},
		403: {"Not for you", nothing, "auth.roles"},
		404: {"There is no such thing", "misspelt"},
		405: {"That is no page", nothing},
		409: {"Something else came first", nothing, "look at how it stands"},
		410: {"It is over"},
		413: {"Too large", nothing},
		415: {"That cannot be read", nothing},
		418: {"Not done", nothing},
		422: {"Refused", nothing, "CHG1 snapshot L2 room: no space. make room"},
		423: {"Everything is paused", nothing},
		429: {"Too many tries", "Wait"},
		500: {"Something is broken here", "not your doing"},
		503: {"It does not work now", "load the page again"},
	} {
		for _, sent := range []bool{false, true} {
			f := Failed{Status: status, Code: "the_code", Message: "the message", RequestID: "a6a5", Sent: sent}
			if status == 422 {
				f.Violations = []backout.Violation{{Target: "CHG1 snapshot", Level: "L2", Check: "room", Reason: "no space", Fix: "make room"}}
			}
			page := strings.NewReplacer("<strong>CHG1", "CHG1", "snapshot</strong>", "snapshot").Replace(render(t, Frame{}, f))
			wants(t, page, append(says, "the code", "the message", "a6a5", `href="/"`, `href="/changes"`, `href="/rollbacks"`)...)
			known := status < http.StatusInternalServerError
			if maybe := strings.Contains(page, "may have been done or not"); maybe != (sent && !known) {
				t.Errorf("%d, sent %v: it may have been done %v", status, sent, maybe)
			}
			if !known && strings.Contains(page, nothing) {
				t.Errorf("%d says that nothing was changed", status)
			}
			if strings.Contains(page, "Sign in</a>") {
				t.Errorf("%d: nobody can sign in, and it is offered", status)
			}
		}
	}
}

// TestWhoIsSignedOutIsLedToSignIn: and told that what was sent was not done.
func TestWhoIsSignedOutIsLedToSignIn(t *testing.T) {
	f := Failed{Status: 401, Code: "session_ended", Message: "the session has ended", SignIn: true, Next: "/rules?x=1&y=/2"}
	wants(t, render(t, Frame{Base: "/b"}, f), `href="/b/login?next=%2frules%3fx%3d1%26y%3d%2f2"`, ">Sign in<")
	f.Sent = true
	wants(t, render(t, Frame{}, f), "what you sent was not done")
	f.SignIn, f.Sent = false, false
	wants(t, render(t, Frame{}, f), "give the token as the password")
}
