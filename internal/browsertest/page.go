package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long a page is waited for, unless [Page.Patient] says otherwise.
const Patience = 30 * time.Second

// world is where our scripts run: beside the page's own, out of their reach and out of
// reach of the page's policy.
const world = "browsertest"

// Page is what one person looks at. Its methods fail the test when something cannot be
// done, so they belong to the goroutine of the test.
type Page struct {
	t testing.TB
	*tab
	patience time.Duration
}

// tab is the page itself, whoever tests it.
type tab struct {
	ctx    context.Context //nolint:containedctx // the page lives by it
	origin *url.URL
	seen   *seen
	// unsure is what people have been told to judge.
	unsure map[string]bool
}

// Open shows somebody new an empty page. Requests to any other host than that of server,
// a URL, are a reason to fail. The page is closed, and judged, when the test ends.
func Open(t testing.TB, server string) *Page {
	t.Helper()
	origin, err := url.Parse(server)
	if err != nil || origin.Host == "" {
		t.Fatalf("open %q: not the URL of a server", server)
	}
	b := shared(t)
	s := newSeen(origin.Host)
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(s.hear))
	p := &Page{t: t, tab: &tab{ctx: ctx, origin: origin, seen: s, unsure: map[string]bool{}}, patience: Patience}
	t.Cleanup(func() {
		defer cancel()
		p.judge()
	})
	if err := p.prepare(); err != nil {
		t.Fatalf("open a page: %v", err)
	}
	p.Emulate(View{})
	return p
}

// prepare lets the page tell what happens in it.
func (p *Page) prepare() error {
	// The first command binds the page to its context, which has no deadline.
	if err := chromedp.Do(p.ctx); err != nil {
		return err
	}
	p.seen.dismiss = func() {
		_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
	}
	_, err := chromedp.Call(p.ctx, audits.Enable, cdp.Empty{})
	if err == nil {
		_, err = chromedp.Call(p.ctx, runtime.AddBinding, runtime.AddBindingParams{Name: changed, ExecutionContextName: world})
	}
	if err == nil {
		_, err = chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{WorldName: world, Source: tellChanges})
	}
	return err
}

// With returns the same page for a subtest.
func (p *Page) With(t testing.TB) *Page {
	return &Page{t: t, tab: p.tab, patience: p.patience}
}

// Patient returns the same page with another patience.
func (p *Page) Patient(within time.Duration) *Page {
	return &Page{t: p.t, tab: p.tab, patience: within}
}

// Go opens a path of the server, or a whole URL, and returns once it is loaded. What the
// server answers is [Page.Status].
func (p *Page) Go(path string) {
	p.t.Helper()
	to, err := p.origin.Parse(path)
	if err != nil {
		p.t.Fatalf("go to %q: %v", path, err)
	}
	p.seen.begin()
	p.load("go to "+path, func(ctx context.Context) error {
		answer, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: to.String()})
		if err == nil && answer.ErrorText != "" {
			err = errors.New(answer.ErrorText)
		}
		return err
	})
}

// Reload asks for the same page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.seen.begin()
	p.load("reload", func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, page.Reload, page.ReloadParams{})
		return err
	})
}

// load does what loads another document, and waits until that is loaded.
func (p *Page) load(what string, begin func(context.Context) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, p.patience)
	defer cancel()
	before := p.seen.loaded()
	if err := begin(ctx); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	p.until(what, "another page is loaded", func() (bool, error) { return p.seen.loaded() > before, nil })
}

// Status is the status of the answer that the page came with.
func (p *Page) Status() int { return p.seen.status() }

// Path is where the person is, without the server: the path, the query and the fragment.
func (p *Page) Path() string {
	p.t.Helper()
	return Eval[string](p, "location.pathname + location.search + location.hash")
}

// Eval returns what a JavaScript expression says of the page, a promise's result when it
// is one. The expression runs beside the page's own scripts and sees the document only. It
// is asked again when the page went away meanwhile.
func Eval[T any](p *Page, expression string) (out T) {
	p.t.Helper()
	p.until("evaluate "+short(expression), "the page answers", func() (bool, error) {
		err := p.eval(expression, &out)
		if err != nil && !left(err) {
			p.t.Fatalf("evaluate %s: %v", short(expression), err)
		}
		return err == nil, err
	})
	return out
}

// left tells that the document was left while it was asked.
func left(err error) bool {
	for _, words := range []string{"Cannot find context", "Execution context was destroyed", "Inspected target navigated", "No frame with given id", "Cannot find default execution context"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// eval is Eval for those who try again.
func (p *Page) eval(expression string, into any) error {
	ctx, cancel := context.WithTimeout(p.ctx, p.patience)
	defer cancel()
	frame := cdp.FrameID(chromedp.FromContext(p.ctx).Target.TargetID)
	in, err := chromedp.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: frame, WorldName: world})
	if err != nil {
		return err
	}
	yes := true
	answer, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ContextID: in.ExecutionContextID, ReturnByValue: &yes, AwaitPromise: &yes,
	})
	switch {
	case err != nil:
		return err
	case answer.ExceptionDetails != nil:
		return errors.New(exception(answer.ExceptionDetails))
	case into == nil || len(answer.Result.Value) == 0:
		return nil
	}
	return json.Unmarshal(answer.Result.Value, into)
}

// call is an expression that calls a function with a text.
func call(function, text string) string { return "(" + function + ")(" + quoted(text) + ")" }

// quoted is a text as JavaScript has it.
func quoted(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always has a form in JSON
	}
	return string(data)
}

func short(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
