// Package ui renders the dashboard: pages for people. It is given everything it shows,
// knows no HTTP and changes nothing; html/template keeps every value, however hostile,
// text.
//
// Each page is a [Content] with a template of the same name: now.go and now.html. Around
// it stands the [Frame], which every page has. A page is written whole by [Write]; what
// changes while somebody looks at it, which is all but the head, is written anew by
// [WriteLive] and put in place of what was there. A page does everything without
// JavaScript: assets/page.js counts seconds, shows times in the reader's zone and says
// when the server is lost.
package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

//go:embed *.html
var files embed.FS

// Frame is what every page shows around its content.
type Frame struct {
	// Now is the server's clock; the page counts from it.
	Now     time.Time
	Version string
	// Base is the path that stands before every route outside.
	Base string
	// Here is the entry of the navigation that the page belongs to; empty for none.
	Here string
	// Nonce lets the page's own scripts run; [Policy] names it.
	Nonce string
	// Path is the page's own address below Base; set where Live is.
	Path string
	// Live is the address, below Base, of the stream that keeps the page up to date;
	// empty for a page that stands still.
	Live string
	// Again is set where the reader asked for the page to be loaded again by itself
	// without scripts, though one can type on it.
	Again bool
	// Who is signed in; empty while nobody has to. People tells that there is an account
	// to look at.
	Who    string
	People bool
	// NotReady says what is missing; empty means ready.
	NotReady string
	// Blind is set while nobody would tell that a target is red, Unwatched where nothing
	// would show that.
	Blind     *Blind
	Unwatched bool
	Paused    *Pause
	// MayPause and MayResume tell whether the pause switch is offered.
	MayPause, MayResume bool
	// Problem is what was wrong with what was sent.
	Problem string
}

// Pause is the pause switch when it is on.
type Pause struct {
	By     string
	Reason string
	At     time.Time
}

// Blind is since when monitoring is blind, and when it was last known to see; zero
// when it never was.
type Blind struct {
	Since    time.Time
	LastSeen time.Time
}

// Content is what one page shows.
type Content interface {
	// Page is the name of its template, Title what stands in the browser's tab.
	Page() string
	Title() string
}

// Policy is the Content-Security-Policy of the pages: nothing but what this server
// serves, and no script without the nonce.
func Policy(nonce string) string {
	return "default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types htmx"
}

// view is what a template sees.
type view struct {
	Frame
	C    Content
	live bool
	// Inner is what changes of the page, rendered; Reloads tells that without scripts the
	// page is loaded again by itself.
	Inner   template.HTML
	Reloads bool
}

// AgainAt is the page as one that is loaded again without scripts, whatever is on it.
func (v *view) AgainAt() string {
	if strings.Contains(v.Path, "?") {
		return v.Base + v.Path + "&again=1"
	}
	return v.Base + v.Path + "?again=1"
}

// pages are the templates, each with the frame and the parts that several use.
var pages = parsePages()

func parsePages() map[string]*template.Template {
	shared := template.Must(template.New("frame").Funcs(functions).ParseFS(files, "frame.html", "parts.html"))
	out := map[string]*template.Template{}
	names, err := files.ReadDir(".")
	if err != nil {
		panic(err) // our own files
	}
	for _, entry := range names {
		if name := entry.Name(); name != "frame.html" && name != "parts.html" {
			page := template.Must(shared.Clone())
			out[name] = template.Must(page.ParseFS(files, name))
		}
	}
	return out
}

// Write writes a page. Nothing is written if it cannot be rendered.
func Write(w io.Writer, f Frame, c Content) error {
	v := &view{Frame: f, C: c}
	inner, err := v.render("inner")
	if err != nil {
		return err
	}
	v.Inner = template.HTML(inner.String()) //nolint:gosec // rendered by the page's own template
	v.Reloads = f.Live != "" && f.Problem == "" && (f.Again || !typed(inner.Bytes()))
	return write(w, "page", v)
}

// typed tells that something can be typed or chosen on what was rendered. To load that
// again would take it away from whoever is at it.
func typed(page []byte) bool {
	has := func(tag string) int { return bytes.Count(page, []byte(tag)) }
	return has("<input ") > has(`<input type="hidden"`) || has("<textarea") > 0 || has("<select") > 0
}

// WriteLive writes what changes of a page. It is the same as long as what it shows is the
// same: times are left to the page to count.
func WriteLive(w io.Writer, f Frame, c Content) error {
	return write(w, "live", &view{Frame: f, C: c, live: true})
}

func write(w io.Writer, name string, v *view) error {
	out, err := v.render(name)
	if err != nil {
		return err
	}
	_, err = w.Write(bytes.Map(shown, out.Bytes()))
	return err
}

func (v *view) render(name string) (*bytes.Buffer, error) {
	page := pages[v.C.Page()+".html"]
	if page == nil {
		return nil, fmt.Errorf("render page %s: it has no template", v.C.Page())
	}
	var out bytes.Buffer
	if err := page.ExecuteTemplate(&out, name, v); err != nil {
		return nil, fmt.Errorf("render page %s: %w", v.C.Page(), err)
	}
	return &out, nil
}

// shown replaces control characters, which no page of HTML may have, and which move
// the cursor of whoever looks at it in a terminal, and those that turn the reading
// direction of what stands beside them.
func shown(r rune) rune {
	if ' ' <= r && r <= '~' {
		return r // nearly all of a page
	}
	if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
		return utf8.RuneError
	}
	return r
}
