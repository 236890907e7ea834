package browsertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/inspector"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
)

// seen is what a browser has told of one page.
type seen struct {
	host string
	// dismiss answers a dialog, which the page waits for.
	dismiss func()
	// news has something in it when the page may have changed.
	news chan struct{}
	// busy are answers to dialogs.
	busy sync.WaitGroup

	mu       sync.Mutex
	loads    int
	last     int // the status of the last document
	problems []string
	allowed  []string
	requests map[network.RequestID]*request
}

// request is one request since the last [seen.begin].
type request struct {
	url   string
	bytes int64
}

func newSeen(host string) *seen {
	return &seen{host: host, news: make(chan struct{}, 1), requests: map[network.RequestID]*request{}}
}

// hear takes an event as it comes; it may not wait for anything.
func (s *seen) hear(ev any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch ev := ev.(type) {
	case *page.EventLoadEventFired:
		s.loads++
	case *page.EventJavascriptDialogOpening:
		s.problem("dialog: %s: %s", ev.Type, ev.Message)
		s.busy.Go(s.dismiss)
	case *page.EventWindowOpen:
		s.problem("another window was opened: %s", ev.URL)
	case *target.EventAttachedToTarget:
		s.problem("another %s was started: %s", ev.TargetInfo.Type, ev.TargetInfo.URL)
	case *inspector.EventTargetCrashed:
		s.problem("the page crashed")
	case *runtime.EventConsoleAPICalled:
		s.console(ev)
	case *runtime.EventExceptionThrown:
		s.problem("exception: %s", exception(ev.ExceptionDetails))
	case *log.EventEntryAdded:
		s.entry(ev.Entry)
	case *audits.EventIssueAdded:
		s.issue(ev.Issue)
	case *runtime.EventBindingCalled: // only news
	default:
		if !s.traffic(ev) {
			return
		}
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// traffic takes what concerns requests, and tells whether the page may have changed.
func (s *seen) traffic(ev any) bool {
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		s.requests[ev.RequestID] = &request{url: ev.Request.URL}
		if u, err := url.Parse(ev.Request.URL); err != nil || u.Host != s.host && !slices.Contains([]string{"data", "blob", "about"}, u.Scheme) {
			s.problem("request to another host: %s", ev.Request.URL)
		}
		return false
	case *network.EventResponseReceived:
		if ev.Type == network.ResourceTypeDocument {
			s.last = int(ev.Response.Status)
		}
		s.count(ev.RequestID, int64(ev.Response.EncodedDataLength), false)
		return false
	case *network.EventDataReceived:
		s.count(ev.RequestID, ev.EncodedDataLength, false)
		return false
	case *network.EventLoadingFinished:
		s.count(ev.RequestID, int64(ev.EncodedDataLength), true)
	case *network.EventLoadingFailed:
		// Who leaves a page cancels what it still waits for.
		if !ev.Canceled {
			s.problem("request failed: %s: %s %s", s.url(ev.RequestID), ev.ErrorText, ev.BlockedReason)
		}
	default:
		return false
	}
	return true
}

// count adds to what a request has brought, or sets the whole.
func (s *seen) count(id network.RequestID, bytes int64, whole bool) {
	if r := s.requests[id]; r != nil {
		if whole {
			r.bytes = 0
		}
		r.bytes += bytes
	}
}

func (s *seen) url(id network.RequestID) string {
	if r := s.requests[id]; r != nil {
		return r.url
	}
	return "one of an earlier page"
}

func (s *seen) console(ev *runtime.EventConsoleAPICalled) {
	if !slices.Contains([]runtime.ConsoleAPICalledType{runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert}, ev.Type) {
		return
	}
	var words []string
	for _, arg := range ev.Args {
		var text string
		switch {
		case json.Unmarshal(arg.Value, &text) == nil:
		case len(arg.Value) > 0:
			text = string(arg.Value)
		default:
			text = arg.Description
		}
		words = append(words, text)
	}
	s.problem("console %s: %s", ev.Type, strings.Join(words, " "))
}

func (s *seen) entry(e *log.Entry) {
	if e.Level == log.EntryLevelError || e.Level == log.EntryLevelWarning {
		s.problem("browser %s of %s: %s %s", e.Level, e.Source, e.Text, e.URL)
	}
}

func (s *seen) issue(i *audits.InspectorIssue) {
	details, err := json.Marshal(i.Details)
	if err != nil {
		details = []byte(err.Error())
	}
	s.problem("issue %s: %s", i.Code, details)
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Text + " " + d.Exception.Description
	}
	return fmt.Sprintf("%s %s:%d", d.Text, d.URL, d.LineNumber+1)
}

// problem notes what nobody has allowed.
func (s *seen) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.ContainsFunc(s.allowed, func(words string) bool { return strings.Contains(text, words) }) {
		s.problems = append(s.problems, text)
	}
}

// begin forgets the requests of the page before.
func (s *seen) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = map[network.RequestID]*request{}
}

func (s *seen) loaded() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

func (s *seen) status() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// took is what the requests have brought so far, and a line for each.
func (s *seen) took() (total int64, each []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range maps.Values(s.requests) {
		total += r.bytes
		each = append(each, fmt.Sprintf("%7d bytes %s", r.bytes, r.url))
	}
	slices.Sort(each)
	return total, each
}

// allow takes no offence at words from now on, until the function that it returns is called.
func (s *seen) allow(words string) (enough func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = append(s.allowed, words)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if i := slices.Index(s.allowed, words); i >= 0 {
			s.allowed = slices.Delete(s.allowed, i, i+1)
		}
	}
}

// complaints is all that was seen and not allowed, what came again only once.
func (s *seen) complaints() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range s.problems {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}
