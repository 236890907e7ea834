package e2e

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/browsertest"
	"github.com/backout-io/backout/internal/hostile"
)

// views are the screens on which every page must be good.
var views = []browsertest.View{
	{Width: 1280, Height: 800}, {Width: 1280, Height: 800, Dark: true}, {Width: 360, Height: 740}, {Width: 360, Height: 740, Dark: true},
}

// judged wants the page to be accessible on every screen as it is now, and to fit it.
func (l *look) judged() {
	l.t.Helper()
	if !l.scripts { // what judges is a script, and the page is the same
		return
	}
	defer l.Emulate(browsertest.View{})
	for _, v := range views {
		l.Emulate(v)
		browsertest.FitsWidth(l.t, l.Page)
		browsertest.Accessible(l.t, l.Page)
	}
}

// menu are the addresses that the navigation leads to.
func (l *look) menu() []string {
	l.t.Helper()
	l.Go("/")
	return browsertest.Eval[[]string](l.Page, `[...document.querySelectorAll("nav a, .tools a")].map((a) => a.getAttribute("href"))`)
}

// within are the pages of this server that the main part of a page leads to.
func (l *look) within() []string {
	l.t.Helper()
	return browsertest.Eval[[]string](l.Page, `[...document.querySelectorAll("main a[href^='/']")]
		.map((a) => a.getAttribute("href").split("#")[0]).filter((to) => !/^.(api|login)/.test(to))`)
}

// everyPage is every page that can be reached by the navigation and the links of the
// pages: one of each kind, and three of each are looked at for where they lead.
func (l *look) everyPage() (pages []string) {
	l.t.Helper()
	seen, looked := map[string]bool{}, map[string]int{}
	for next := l.menu(); len(next) > 0; {
		var found []string
		for _, to := range next {
			path, kind := strings.SplitN(to, "?", 2)[0], kindOf(to)
			if looked[kind] == 3 || seen[path] {
				continue
			}
			if seen[path] = true; looked[kind] == 0 {
				pages = append(pages, to)
			}
			looked[kind]++
			l.Go(to)
			found = append(found, l.within()...)
		}
		next = found
	}
	return pages
}

// kindOf is an address without its names, which are what has a number in it, and without
// what is asked: "/changes/*".
func kindOf(address string) string {
	path, _, _ := strings.Cut(address, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.ContainsAny(part, "0123456789:") {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// TestDashboardEveryPage: each page that can be reached is there, fits every screen and is
// accessible, with a story behind it that gives it something to show. A page that there is
// none of leads on. With -pictures it takes pictures of them all.
func TestDashboardEveryPage(t *testing.T) {
	if *pictures == "" {
		t.Parallel()
	}
	srv, id := pictured(t)
	album := &album{t: t, dir: *pictures}
	ann := srv.looks("ann", true)
	ann.Go("/login")
	ann.judged()
	album.take(ann, "login")
	ann.signsIn()
	ann.firstView()
	pages := ann.everyPage()
	everyRouteIn(t, pages)
	for _, address := range pages {
		t.Run(pictureName(address), func(t *testing.T) {
			p := &look{Page: ann.With(t), t: t, name: "ann", scripts: true}
			p.Go(address)
			p.good()
			album.take(p, pictureName(address))
		})
	}
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			p := &look{Page: ann.With(t), t: t, name: "ann", scripts: true}
			p.Go(a.address)
			a.ask(p)
			p.good()
			album.take(p, a.name)
		})
	}
	album.closed()
	for _, address := range []string{"/changes/CHG404", "/rollbacks/CHG404-r1", "/nowhere"} {
		enough := ann.Allow("responded with a status of 404")
		ann.Go(address)
		if ann.Status() != http.StatusNotFound || !ann.Has(named("main a", "what is red now")) {
			t.Errorf("%s is answered %d:\n%s", address, ann.Status(), ann.Text("main"))
		}
		ann.judged()
		enough()
	}
	if r := srv.rollback(id); r.Status != backout.RollbackAwaiting || len(r.Ask.Votes) > 0 {
		t.Errorf("looking has changed something: %+v", r)
	}
}

// answers are pages that come of what a page asks: forms, and what opens on a press.
var answers = []struct {
	name, address string
	ask           func(*look)
}{
	{"now-approve", "/", func(l *look) { l.Click(named("summary", "Approve L2")) }},
	{"rollback-output", "/rollbacks/CHG0041014-r1?level=L1", func(l *look) { l.Follow(".grid td a") }},
	{"rules-explained", "/rules/explain", func(l *look) { l.Follow(named("main a", "ShopDown on web-1")) }},
	{"rules-replayed", "/rules/replay", func(l *look) { l.Follow(named("button", "24 hours")) }},
	{"settings-examined", "/settings", func(l *look) { l.Follow(named("button", "Examine everything")) }},
}

// good wants the page to be there, whole, accessible and fitting every screen.
func (l *look) good() {
	l.t.Helper()
	if l.Status() != http.StatusOK {
		l.t.Fatalf("it is answered %d:\n%s", l.Status(), l.Text("main"))
	}
	if len(l.Texts("h1")) != 1 {
		l.t.Errorf("it has the headings %q", l.Texts("h1"))
	}
	l.judged()
	l.Emulate(browsertest.View{Width: 320, Height: 640}) // as 1280 px at 400 %
	browsertest.FitsWidth(l.t, l.Page)
	l.Emulate(browsertest.View{Width: 3840, Height: 2160})
	browsertest.FitsWidth(l.t, l.Page)
}

// everyRouteIn wants each page that docs/api.md has, which has all, to be among these.
func everyRouteIn(t *testing.T, pages []string) {
	t.Helper()
	kinds := map[string]bool{"/settings/examine": true} // among the answers
	for _, address := range pages {
		kinds[kindOf(address)] = true
	}
	found := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `GET` \\| `(/[^`]*)` \\| read \\| (.*) \\|$").FindAllStringSubmatch(read("../../docs/api.md"), -1) {
		path := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(row[1], "*")
		if strings.HasPrefix(path, "/api/") || strings.Contains(row[2], "a stream of events") {
			continue
		}
		if found++; !kinds[path] {
			t.Errorf("nothing leads to the page %s", row[1])
		}
	}
	if found < 10 {
		t.Errorf("docs/api.md has %d pages", found)
	}
}

// firstView is small enough for a phone with a bad network.
func (l *look) firstView() {
	l.t.Helper()
	l.ClearCache()
	l.Go("/")
	l.WaitFor(named("#badge", "live"))
	bytes, each := l.Transferred()
	l.t.Logf("the first view takes %d bytes", bytes)
	if bytes > 50<<10 || bytes < 5<<10 {
		l.t.Errorf("the first view takes %d bytes, want 50 KiB at most:\n%s", bytes, strings.Join(each, "\n"))
	}
}

// TestDashboardHostile: what others write is text on every page: titles, labels and
// summaries make no element, run no script and ask nobody for anything. The browser's
// complaints would say so too.
func TestDashboardHostile(t *testing.T) {
	t.Parallel()
	shop := newShop(t)
	d := dutyAt(t, shop, dutyPlan(shop, 10*time.Minute), web1)
	srv := d.serve()
	title := `"'><img src=x onerror=alert(1)><script>alert(2)</script>{{.}}</title><h1>`
	d.patched(d.change, title, "web-1")
	red := shopDown("web-1")
	red.labels["alertname"], red.labels["also"] = `<svg onload=alert(3)>`, title
	srv.mustPost(red)
	id := srv.awaitRollback(30 * time.Second)
	for i, text := range hostile.Strings(hostile.HTML, hostile.Link, hostile.Template, hostile.Header) {
		more := shopDown("web-1")
		more.labels["alertname"], more.labels["number"] = text, strconv.Itoa(i)
		if code, body := srv.post(more); code >= http.StatusInternalServerError {
			t.Errorf("%q is answered %d: %s", text, code, body)
		}
	}
	ann := srv.looks("ann", true)
	ann.signsIn()
	for _, address := range append(ann.everyPage(), "/rollbacks/"+id, "/changes/"+d.change) {
		ann.Go(address)
		made := browsertest.Eval[[]string](ann.Page, `[...document.querySelectorAll("img, iframe, object, embed, base, form[action^='http'], a[href^='javascript:'], a[href*='evil.example'], [onload], [onerror], [onclick], script:not([src])")].map((e) => e.outerHTML)`)
		if len(made) > 0 || len(ann.Texts("h1")) != 1 {
			t.Errorf("%s has elements of others: %q, headings %q", address, made, ann.Texts("h1"))
		}
	}
	ann.Go("/")
	if got := ann.Text("article"); !strings.Contains(got, title) || !strings.Contains(got, red.labels["alertname"]) {
		t.Errorf("the card does not say %q and %q:\n%s", title, red.labels["alertname"], got)
	}
}
