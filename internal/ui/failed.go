package ui

import (
	"net/http"

	"github.com/backout-io/backout"
)

// Failed is an error for people: what is wrong, and where to go on.
type Failed struct {
	Status        int
	Code, Message string
	RequestID     string
	// Violations are a gate's reasons; MoreViolations how many more there are.
	Violations     []backout.Violation
	MoreViolations int
	// Sent tells that something was to be done, and not only looked at.
	Sent bool
	// SignIn tells that signing in would help; Next is where to go then.
	SignIn bool
	Next   string
}

// Page implements [Content].
func (Failed) Page() string { return "failed" }

// failing is how an error is told: its heading, what stands in the browser's tab, and
// what to do about it.
type failing struct{ heading, title, advice string }

var failings = map[int]failing{
	http.StatusBadRequest:            {"That cannot be done", "not done", "Something in the address or the form is not what this server takes. Nothing was changed."},
	http.StatusUnauthorized:          {"Who are you?", "sign in", ""},
	http.StatusForbidden:             {"Not for you", "not allowed", "Nothing was changed. What you may do stands among your settings; who keeps auth.roles in backout.yaml can give you more."},
	http.StatusNotFound:              {"There is no such thing", "not found", "It may be misspelt, or have been removed."},
	http.StatusMethodNotAllowed:      {"That is no page", "no page", "The address is for what a form or a program sends. Nothing was changed: go back to the page that it was on."},
	http.StatusConflict:              {"Something else came first", "not done", "It has changed since you looked at it, by somebody else or by itself. Nothing was changed by you: look at how it stands now before you do it again."},
	http.StatusGone:                  {"It is over", "not done", ""},
	http.StatusRequestEntityTooLarge: {"Too large", "not done", "Nothing was changed. Send less of it, or use the command line for large files."},
	http.StatusUnsupportedMediaType:  {"That cannot be read", "not done", "Nothing was changed."},
	http.StatusUnprocessableEntity:   {"Refused", "refused", "Nothing was changed. What has to be put right first stands above."},
	http.StatusLocked:                {"Everything is paused", "paused", "Nothing was changed, and nothing starts until somebody resumes."},
	http.StatusTooManyRequests:       {"Too many tries", "wait", "Wait a while, then try again."},
	http.StatusServiceUnavailable:    {"It does not work now", "not now", "Wait a few seconds and load the page again."},
}

func (f Failed) told() failing {
	if t, ok := failings[f.Status]; ok {
		return t
	}
	if f.Status >= http.StatusInternalServerError {
		return failing{"Something is broken here", "broken", "It is not your doing. Whoever runs this server finds more in its log."}
	}
	return failing{"Not done", "not done", "Nothing was changed."}
}

// Title implements [Content].
func (f Failed) Title() string { return f.told().title }

// Heading says what is wrong in a few words.
func (f Failed) Heading() string { return f.told().heading }

// Tone is wait for what passes by itself.
func (f Failed) Tone() string {
	switch f.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusLocked:
		return wait
	}
	return bad
}

// Advice says what to do about it. What was sent while the server failed may have been
// done all the same.
func (f Failed) Advice() string {
	switch told := f.told().advice; {
	case f.Status == http.StatusUnauthorized && f.Sent:
		return "You are signed out, so what you sent was not done: sign in, look at how things stand now, and do it again."
	case f.Status == http.StatusUnauthorized && !f.SignIn:
		return "This server takes a token: load the page again, and give the token as the password. The name may be any."
	case f.Status >= http.StatusInternalServerError && f.Sent:
		return told + " What you sent may have been done or not: look at how things stand before you do it again."
	default:
		return told
	}
}
