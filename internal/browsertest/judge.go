package browsertest

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Allow says that what holds these words is provoked by the test, from now on. The
// function that it returns ends that, for what may happen for a while only.
func (p *Page) Allow(words string) (enough func()) {
	p.t.Helper()
	if strings.TrimSpace(words) == "" {
		p.t.Fatal("allow: say which words, not everything")
	}
	return p.seen.allow(words)
}

// Complaints is what the browser has complained of so far and nobody has allowed.
func (p *Page) Complaints() []string { return p.seen.complaints() }

// judge fails the test for what the browser complained of, and keeps what a failed test
// last saw.
func (p *Page) judge() {
	p.t.Helper()
	// The answer comes behind all that has happened before.
	gone := p.eval("1", nil)
	p.seen.busy.Wait()
	for _, text := range p.Complaints() {
		p.t.Errorf("the browser complains: %s", text)
	}
	if p.t.Failed() && gone == nil {
		p.keep()
	}
}

// keep puts the page as it is beside the results of the test.
func (p *Page) keep() {
	name := filepath.Join(p.t.ArtifactDir(), "page-"+string(chromedp.FromContext(p.ctx).Target.TargetID)[:8])
	var source string
	picture, err := p.picture()
	if err == nil {
		err = os.WriteFile(name+".png", picture, 0o600)
	}
	if err == nil {
		err = p.eval("document.documentElement.outerHTML", &source)
	}
	if err == nil {
		err = os.WriteFile(name+".html", []byte(source), 0o600)
	}
	if err != nil {
		p.t.Logf("the page cannot be kept: %v", err)
		return
	}
	p.t.Logf("the page %s is kept as %s.png and .html (go test -artifacts keeps them after the test)", p.where(), name)
}

func (p *Page) picture() ([]byte, error) {
	answer, err := chromedp.Call(p.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	return answer.Data, err
}

// Picture is what the person sees, as a PNG of the size of the window.
func (p *Page) Picture() []byte {
	p.t.Helper()
	data, err := p.picture()
	if err != nil {
		p.t.Fatalf("picture: %v", err)
	}
	return data
}

// Screenshot writes what the person sees to a file, as a PNG.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	if err := os.WriteFile(path, p.Picture(), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// Transferred is how many bytes came over the network since the last [Page.Go] or
// [Page.Reload], with the headers and as they were packed, and a line for each request.
func (p *Page) Transferred() (bytes int64, each []string) { return p.seen.took() }

// ClearCache forgets what was loaded before, as a browser that comes for the first time;
// who is signed in stays so.
func (p *Page) ClearCache() {
	p.t.Helper()
	do(p, "clear the cache", network.ClearBrowserCache, cdp.Empty{})
}
