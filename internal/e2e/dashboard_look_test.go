package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/browsertest"
)

// named is the visible button or the like that says this.
var named = browsertest.Named

// look is one of the people before a screen.
type look struct {
	*browsertest.Page
	t    testing.TB
	name string
	// scripts tells that the pages' scripts run. Then what changes is seen without loading
	// a page again.
	scripts bool
}

// looks puts somebody before an empty page of the server.
func (srv *server) looks(name string, scripts bool) *look {
	srv.site.t.Helper()
	l := &look{Page: browsertest.Open(srv.site.t, srv.url), t: srv.site.t, name: name, scripts: scripts}
	l.JavaScript(scripts)
	return l
}

// signsIn asks for the first page, is asked who it is, and gets there.
func (l *look) signsIn() {
	l.t.Helper()
	l.Go("/")
	l.Fill("#name", l.name)
	l.Fill("#password", passwordOf(l.name))
	l.Follow(named("button", "Sign in"))
	if at := l.Path(); at != "/" {
		l.t.Fatalf("%s is led to %s", l.name, at)
	}
	l.sees(named(".tools", l.name))
}

// sees waits until the page shows it, and without scripts loads it again until then.
func (l *look) sees(selector string) {
	l.t.Helper()
	if l.scripts {
		l.WaitFor(selector)
		return
	}
	for deadline := time.Now().Add(browsertest.Patience); !l.Has(selector); l.Reload() {
		if time.Now().After(deadline) {
			l.WaitFor(selector) // says what is there instead
		}
	}
}

// does presses a button, the first press included where it takes two, gives the reason if
// there is one, and returns when the page is there that it leads to.
func (l *look) does(button, reason string) {
	l.t.Helper()
	l.sees(named("summary, .actions > form button", button))
	if l.Has(named("details:not([open]) > summary", button)) {
		l.Click(named("summary", button))
	}
	if reason != "" {
		l.Fill("details[open] input[name=reason]", reason)
	}
	l.Follow(named("details[open] form button, .actions > form button", button))
}

// mark leaves something in the page that a reload would lose.
func (l *look) mark() {
	browsertest.Eval[any](l.Page, `document.documentElement.dataset.marked = "yes"`)
}

// marked tells that the page was not loaded again since.
func (l *look) marked() bool {
	return browsertest.Eval[string](l.Page, `document.documentElement.dataset.marked ?? ""`) == "yes"
}

// sends posts a form that no page offers, as somebody would who changes a page, and wants
// it refused: the status, and words on the page that comes.
func (l *look) sends(path string, fields map[string]string, status int, words string) {
	l.t.Helper()
	data, err := json.Marshal(fields)
	if err != nil {
		l.t.Fatal(err)
	}
	browsertest.Eval[any](l.Page, fmt.Sprintf(`(() => {
		const form = document.createElement("form");
		form.method = "post", form.action = %q;
		for (const [name, value] of Object.entries(%s)) {
			const input = form.appendChild(document.createElement("input"));
			input.type = "hidden", input.name = name, input.value = value;
		}
		form.appendChild(document.createElement("button")).id = "made-up";
		document.querySelector("main").before(form);
		document.querySelector("#made-up").textContent = "send";
	})()`, path, data))
	defer l.Allow(fmt.Sprintf("responded with a status of %d", status))()
	l.Follow("#made-up")
	if got, says := l.Status(), l.Text(".banner"); got != status || !strings.Contains(says, words) {
		l.t.Errorf("it was answered %d, want %d with %q: %s", got, status, words, says)
	}
}
