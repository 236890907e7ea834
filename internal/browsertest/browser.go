// Package browsertest lets tests look at pages as people do: with a real Chromium,
// without a window. Each person of a test has a browser context of his own, which
// shares cookies, storage and cache with nobody.
//
// Whatever a browser complains of fails the test at its end, with the text: errors and
// warnings of the console, exceptions, violations of the content security policy,
// requests that failed or went to another host, dialogs and new windows. What a test
// provokes on purpose it allows in so many words, see [Page.Allow].
//
// The browser is started when the first page is opened and serves the whole package;
// its TestMain ends it, see [Main] and [Clean]. Where there is none the test is skipped,
// or fails when BACKOUT_E2E=require.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Main runs the tests of a package, and ends the browser that they have used.
func Main(m *testing.M) {
	code := m.Run()
	Clean()
	os.Exit(code)
}

// Clean ends the browser and removes its files, for packages that have a TestMain of
// their own. A page that is opened later starts another one.
func Clean() {
	running.mu.Lock()
	defer running.mu.Unlock()
	if running.browser != nil {
		running.browser.end()
		running.browser = nil
	}
}

var running struct {
	mu      sync.Mutex
	browser *browser
}

// browser is a process with all its children, and the folder that it writes to.
type browser struct {
	ctx    context.Context //nolint:containedctx // the browser lives by it
	cancel func()
	dir    string
	group  int
}

// names are those of Chromium and of Chrome, which is as good.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// shared returns the browser of this process, and starts it when there is none or when
// it has crashed.
func shared(t testing.TB) *browser {
	t.Helper()
	running.mu.Lock()
	defer running.mu.Unlock()
	if b := running.browser; b != nil {
		if b.ctx.Err() == nil {
			return b
		}
		b.end()
		running.browser = nil
	}
	b, err := start()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		const why = "no Chromium here: apt-get install chromium"
		if os.Getenv("BACKOUT_E2E") == "require" {
			t.Fatal(why)
		}
		t.Skip(why)
	case err != nil:
		t.Fatal(err)
	}
	running.browser = b
	return b
}

// start runs a browser that knows this machine only and keeps everything in a folder of
// its own.
func start() (*browser, error) {
	program := ""
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		return nil, exec.ErrNotFound
	}
	dir, err := os.MkdirTemp("", "backout-browser-")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
		// No name but this machine's is ever asked for.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
		chromedp.Env("HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "TZ=UTC", "LANGUAGE=en"),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		}),
	)
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithLogf(nothing), chromedp.WithErrorf(nothing))
	b := &browser{ctx: ctx, dir: dir, cancel: func() { cancel(); release() }}
	if err := chromedp.Do(ctx); err != nil {
		b.end()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	b.group = chromedp.FromContext(ctx).Browser.Process().Pid
	return b, nil
}

// nothing drops what the client of the protocol has to say of events that are newer
// than itself.
func nothing(string, ...any) {}

// end stops the browser with all its processes and removes its folder. What still runs
// after a polite request is killed.
func (b *browser) end() {
	if b.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		_ = chromedp.Cancel(ctx)
		cancel()
	}
	b.cancel()
	if b.group > 0 {
		_ = syscall.Kill(-b.group, syscall.SIGKILL)
	}
	// A process that was just killed may still have a file open for writing.
	for deadline := time.Now().Add(5 * time.Second); os.RemoveAll(b.dir) != nil && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}
