package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// changed is the function by which a document tells that it has changed, and tellChanges
// what makes it do so.
const (
	changed     = "browsertestChanged"
	tellChanges = `new MutationObserver(() => ` + changed + `("")).observe(document, {subtree: true, childList: true, attributes: true, characterData: true})`
)

// again is how often a page is looked at that tells nothing of itself: one without
// scripts, or one whose style changes.
const again = 200 * time.Millisecond

// Named is a selector for the visible elements that match css and whose text, value or
// label has the words in it, whatever the white space.
func Named(css, words string) string { return css + named + words }

const named = " \u2063"

// find is a function that returns the visible elements of a selector.
const find = `(selector) => {
	const [css, words] = selector.split("` + named + `");
	const plain = (text) => (text || "").replace(/\s+/g, " ").trim();
	const seen = (e) => e.getClientRects().length > 0 && e.checkVisibility({visibilityProperty: true, opacityProperty: true});
	const says = (e) => [e.innerText, e.value, e.getAttribute("aria-label")].some((text) => plain(text).includes(plain(words)));
	return [...document.querySelectorAll(css)].filter((e) => seen(e) && (words === undefined || says(e)));
}`

// matches is an expression for the visible elements of a selector.
func matches(selector string) string { return call(find, selector) }

// readable is a selector for people.
func readable(selector string) string {
	if css, words, ok := strings.Cut(selector, named); ok {
		return fmt.Sprintf("%s %q", css, words)
	}
	return selector
}

// until looks whenever something happens to the page, and fails the test when time is up.
func (p *Page) until(what, want string, done func() (bool, error)) {
	p.t.Helper()
	began := time.Now()
	end, tick := time.NewTimer(p.patience), time.NewTicker(again)
	defer end.Stop()
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return
		}
		select {
		case <-p.seen.news:
		case <-tick.C:
		case <-p.ctx.Done():
			p.t.Fatalf("%s: the browser has ended: %v", what, p.ctx.Err())
		case <-end.C:
			p.t.Fatalf("%s: not within %s: %s; %v; the page %s says:\n%s", what, time.Since(began).Round(time.Millisecond), want, err, p.where(), p.says())
		}
	}
}

// where and says are for failures, when nothing may be certain.
func (p *Page) where() (at string) {
	if p.eval("location.href", &at) != nil {
		return "somewhere"
	}
	return at
}

func (p *Page) says() (text string) {
	if err := p.eval("document.body ? document.body.innerText : ''", &text); err != nil {
		return err.Error()
	}
	return text
}

// WaitFor waits until something visible matches the selector.
func (p *Page) WaitFor(selector string) {
	p.t.Helper()
	p.Until(readable(selector)+" is seen", matches(selector)+".length > 0")
}

// WaitGone waits until nothing visible matches the selector.
func (p *Page) WaitGone(selector string) {
	p.t.Helper()
	p.Until(readable(selector)+" is gone", matches(selector)+".length === 0")
}

// WaitText waits until the first element of the selector has the words in its text.
func (p *Page) WaitText(selector, words string) {
	p.t.Helper()
	p.WaitFor(Named(selector, words))
}

// Until waits until a JavaScript expression is true; want says of what, for people.
func (p *Page) Until(want, expression string) {
	p.t.Helper()
	p.until("wait", want, func() (ok bool, err error) {
		err = p.eval("!!("+expression+")", &ok)
		return ok && err == nil, err
	})
}

// Text is what the first visible element of the selector says, as people read it.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	p.WaitFor(selector)
	return Eval[string](p, matches(selector)+`[0]?.innerText ?? ""`)
}

// Texts is what each visible element of the selector says, in the order of the document.
func (p *Page) Texts(selector string) []string {
	p.t.Helper()
	return Eval[[]string](p, matches(selector)+".map((e) => e.innerText)")
}

// HTML is the source of the first visible element of the selector, with the element.
func (p *Page) HTML(selector string) string {
	p.t.Helper()
	p.WaitFor(selector)
	return Eval[string](p, matches(selector)+`[0]?.outerHTML ?? ""`)
}

// Attribute is an attribute of the first visible element of the selector, "" without it.
func (p *Page) Attribute(selector, name string) string {
	p.t.Helper()
	p.WaitFor(selector)
	return Eval[string](p, matches(selector)+"[0]?.getAttribute("+quoted(name)+`) ?? ""`)
}

// Count is how many visible elements match the selector.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	return Eval[int](p, matches(selector)+".length")
}

// Has tells whether something visible matches the selector now.
func (p *Page) Has(selector string) bool {
	p.t.Helper()
	return p.Count(selector) > 0
}

// FitsWidth fails the test when the page can be moved sideways, and names what sticks out.
func FitsWidth(t testing.TB, p *Page) {
	t.Helper()
	wide := Eval[[]string](p.With(t), `(() => {
		const root = document.scrollingElement;
		if (root.scrollWidth <= root.clientWidth) return [];
		const out = ["the page is " + root.scrollWidth + " px wide in " + root.clientWidth];
		const within = (e) => {
			const s = getComputedStyle(e);
			for (let up = e.parentElement; up && up !== document.body; up = up.parentElement) {
				const u = getComputedStyle(up);
				if (u.overflowX !== "visible" && !(s.position === "absolute" && u.position === "static")) return true;
			}
			return false;
		};
		for (const e of document.body.querySelectorAll("*")) {
			const r = e.getBoundingClientRect(), right = Math.round(r.right + scrollX);
			if (right > root.clientWidth && r.width > 0 && !within(e)) out.push(e.cloneNode(false).outerHTML.slice(0, 160) + " ends at " + right);
		}
		return out.slice(0, 9);
	})()`)
	if len(wide) > 0 {
		t.Errorf("%s moves sideways: %s", p.where(), strings.Join(wide, "\n  "))
	}
}
