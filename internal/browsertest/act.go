package browsertest

import (
	"context"
	"strings"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// place finds where a person would click: the middle of the first visible element, in the
// window, with nothing above it.
const place = `(e) => {
	if (!e || e.disabled) return null;
	e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
	const box = e.getClientRects()[0];
	if (!box) return null;
	const at = {X: box.left + box.width / 2, Y: box.top + box.height / 2};
	const top = document.elementFromPoint(at.X, at.Y);
	return top && (e.contains(top) || top.contains(e) && top.closest("label, a, button") !== null || top.closest("label")?.control === e) ? at : null;
}`

type point struct{ X, Y float64 }

// find waits until the first visible element of the selector can be clicked, and tells where.
func (p *Page) find(what, selector string) point {
	p.t.Helper()
	var at *point
	p.until(what, readable(selector)+" is there, enabled, and not covered", func() (bool, error) {
		err := p.eval("("+place+")("+matches(selector)+"[0])", &at)
		return at != nil && err == nil, err
	})
	return *at
}

// Click clicks the first visible element of the selector, once that can be clicked.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.clicks("click "+readable(selector), selector, 1)
}

// DoubleClick clicks twice as fast as can be, whatever the first click has started.
func (p *Page) DoubleClick(selector string) {
	p.t.Helper()
	p.clicks("double click "+readable(selector), selector, 2)
}

func (p *Page) clicks(what, selector string, times int64) {
	p.t.Helper()
	at := p.find(what, selector)
	ctx, cancel := context.WithTimeout(p.ctx, p.patience)
	defer cancel()
	send := func(kind input.DispatchMouseEventType, n int64) {
		p.t.Helper()
		m := input.DispatchMouseEventParams{Type: kind, X: at.X, Y: at.Y, ClickCount: n}
		if n > 0 {
			m.Button = input.MouseButtonLeft
		}
		if _, err := chromedp.Call(ctx, input.DispatchMouseEvent, m); err != nil {
			p.t.Fatalf("%s: %v", what, err)
		}
	}
	send(input.DispatchMouseEventTypeMouseMoved, 0)
	for n := range times {
		send(input.DispatchMouseEventTypeMousePressed, n+1)
		send(input.DispatchMouseEventTypeMouseReleased, n+1)
	}
}

// Follow clicks what leads to another page, a link or a form's button, and returns once
// that is loaded.
func (p *Page) Follow(selector string) {
	p.t.Helper()
	p.load("follow "+readable(selector), func(context.Context) error {
		p.t.Helper()
		p.Click(selector)
		return nil
	})
}

// Fill types a text into a field, in place of what was there.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Click(selector)
	Eval[any](p, matches(selector)+"[0]?.select?.()")
	ctx, cancel := context.WithTimeout(p.ctx, p.patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
		p.t.Fatalf("fill %s: %v", readable(selector), err)
	}
}

// keys are the keys that have names.
var keys = map[string]string{
	"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " ", "Home": kb.Home, "End": kb.End, "PageDown": kb.PageDown,
	"ArrowDown": kb.ArrowDown, "ArrowUp": kb.ArrowUp, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
}

// Press presses keys one after the other: "a", "Enter", "Shift+Tab".
func (p *Page) Press(names ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, p.patience)
	defer cancel()
	for _, name := range names {
		var with []chromedp.Modifier
		key, shifted := strings.CutPrefix(name, "Shift+")
		if shifted {
			with = append(with, chromedp.ModifierShift)
		}
		if named, ok := keys[key]; ok {
			key = named
		}
		if err := chromedp.Do(ctx, chromedp.KeyEvent(key, chromedp.KeyModifiers(with...))); err != nil {
			p.t.Fatalf("press %s: %v", name, err)
		}
	}
}

// Focus is the element that the keyboard speaks to.
type Focus struct {
	// Tag is its name in lower case, "body" when nothing has the focus.
	Tag string
	// Text is what it says, or its label, or its value.
	Text string
	// Visible tells that a ring or another sign shows it to the person.
	Visible bool
}

// Focused tells what has the focus. A ring is an outline or a shadow of some width that
// the element does not have without the focus.
func (p *Page) Focused() Focus {
	p.t.Helper()
	return Eval[Focus](p, `(() => {
		const e = document.activeElement || document.body;
		const ring = () => { const s = getComputedStyle(e); return (s.outlineStyle === "none" ? "" : s.outlineWidth + s.outlineColor) + "/" + s.boxShadow; };
		const on = ring();
		const visible = e.matches(":focus-visible") && on !== "/none" && !on.startsWith("0px");
		return {Tag: e.localName, Text: (e.innerText || e.getAttribute("aria-label") || e.value || "").trim(), Visible: visible};
	})()`)
}

// TabTo presses Tab until the first visible element of the selector has the focus, at
// most so often as there are elements, and fails the test when it never does or when a
// stop on the way cannot be seen.
func (p *Page) TabTo(selector string) {
	p.t.Helper()
	p.WaitFor(selector)
	for range Eval[int](p, `document.querySelectorAll("*").length`) {
		p.Press("Tab")
		if on := p.Focused(); on.Tag != "body" && !on.Visible {
			p.t.Errorf("the focus on %s %q cannot be seen", on.Tag, on.Text)
		}
		if Eval[bool](p, matches(selector)+"[0] === document.activeElement") {
			return
		}
	}
	p.t.Fatalf("no number of tabs leads to %s", readable(selector))
}
