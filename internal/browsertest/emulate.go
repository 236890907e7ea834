package browsertest

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// phone is the width in pixels below which a window is that of a phone.
const phone = 600

// View is what a person looks with.
type View struct {
	// Width and Height of the window in pixels, 1280 by 800 when they are zero. Below 600
	// pixels the browser behaves as one of a phone does.
	Width, Height int
	// Dark and ReducedMotion are what the person prefers.
	Dark, ReducedMotion bool
}

// String names the view for people.
func (v View) String() string {
	theme := "light"
	if v.Dark {
		theme = "dark"
	}
	return fmt.Sprintf("%dx%d %s", cmp.Or(v.Width, 1280), cmp.Or(v.Height, 800), theme)
}

// Emulate gives the person another view. The page that is open changes at once.
func (p *Page) Emulate(v View) {
	p.t.Helper()
	wide := int64(cmp.Or(v.Width, 1280))
	do(p, "emulate "+v.String(), emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: wide, Height: int64(cmp.Or(v.Height, 800)), DeviceScaleFactor: 1, Mobile: wide < phone,
	})
	prefer := func(name, value string, yes bool, otherwise string) *emulation.MediaFeature {
		if !yes {
			value = otherwise
		}
		return &emulation.MediaFeature{Name: name, Value: value}
	}
	do(p, "emulate "+v.String(), emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		prefer("prefers-color-scheme", "dark", v.Dark, "light"),
		prefer("prefers-reduced-motion", "reduce", v.ReducedMotion, "no-preference"),
	}})
}

// Print shows the page as it is printed, or as it is again.
func (p *Page) Print(yes bool) {
	p.t.Helper()
	media := ""
	if yes {
		media = "print"
	}
	do(p, "print", emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media})
}

// JavaScript switches the scripts of the pages that are opened from now on.
func (p *Page) JavaScript(on bool) {
	p.t.Helper()
	do(p, "switch scripts", emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
}

// TimeZone puts the person somewhere, such as "Asia/Tokyo"; "" is the browser's own, UTC.
func (p *Page) TimeZone(name string) {
	p.t.Helper()
	do(p, "time zone "+name, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
}

// Slow makes each answer take at least so long; 0 is as fast as it is.
func (p *Page) Slow(latency time.Duration) {
	p.t.Helper()
	do(p, "slow", network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Latency: float64(latency.Milliseconds()), DownloadThroughput: -1, UploadThroughput: -1}},
	})
}

// Clock puts the person's clock forward, or back when off is negative, in the pages that
// are opened from now on: Date, and the origin of performance.now.
func (p *Page) Clock(off time.Duration) {
	p.t.Helper()
	do(p, "clock", page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: fmt.Sprintf(`(() => {
		const off = %d, Right = Date;
		class Wrong extends Right {
			constructor(...given) { if (given.length) super(...given); else super(Right.now() + off); }
			static now() { return Right.now() + off; }
		}
		globalThis.Date = new Proxy(Wrong, {apply: () => new Wrong().toString()});
		const origin = performance.timeOrigin;
		Object.defineProperty(Performance.prototype, "timeOrigin", {get: () => origin + off});
	})()`, off.Milliseconds())})
}

// do runs a command of the protocol, and fails the test when it cannot.
func do[P, R any](p *Page, what string, cmd cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, p.patience)
	defer cancel()
	out, err := chromedp.Call(ctx, cmd, params)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return out
}
