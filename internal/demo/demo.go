package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/slackfake"
)

// Options are how the demo runs.
type Options struct {
	// Dir keeps the demo's files; empty means a temporary directory that is
	// removed at the end.
	Dir string
	// Listen is the server's address; empty means a free port on this machine.
	Listen string
	// Exit ends the demo when the story is told.
	Exit bool
	// Program is this program's own path, to start the shop with.
	Program string
	Out     io.Writer
	// pace are the times of the story, for tests; nil means those that fit.
	pace *pace
}

// changeID is the demo's change.
const changeID = "CHG0030001"

// Run tells the story and returns nil when it ended well: the shop is back. It
// then stays up to be looked at, until ctx ends, unless told to exit.
func Run(ctx context.Context, o Options) error {
	s := &story{o: o, started: time.Now(), pace: watched}
	switch {
	case o.pace != nil:
		s.pace = *o.pace
	case o.Exit:
		s.pace = toldQuickly
	}
	defer s.end()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.awaitWatcher(ctx); err != nil {
		return err
	}
	err := s.tell(ctx)
	switch {
	case errors.Is(err, errNotBack) && s.touched && !o.Exit:
		s.say("shop         stays as it is, because people wanted it so: %v", err)
	case err != nil:
		return err
	}
	if o.Exit {
		return nil
	}
	s.say("demo         the server stays up until Ctrl-C: look at what happened on http://%s/rollbacks/%s-r1, or from another terminal:", s.at, changeID)
	s.fromElsewhere("show")
	<-ctx.Done()
	return nil
}

// story is one run of the demo.
type story struct {
	o       Options
	pace    pace
	dir     string
	started time.Time
	outMu   sync.Mutex
	// at is the server's address, as its links name it.
	at string

	shop     *exec.Cmd
	shopAddr string
	hook     *http.Server
	slack    *slackfake.Workspace
	// slackAt is where the channel is to be seen.
	slackAt string
	app     *app.App
	client  *client.Client
	token   map[string]string
	people  []Person
	door    *door
	// touched tells that somebody did something to the rollback.
	touched bool

	cleanup []func()
	tasks   sync.WaitGroup
}

// say prints one line of the timeline.
func (s *story) say(format string, args ...any) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	_, _ = fmt.Fprintf(s.o.Out, "%6.1fs  %s\n", time.Since(s.started).Seconds(), fmt.Sprintf(format, args...))
}

func (s *story) later(fn func()) { s.cleanup = append(s.cleanup, fn) }

func (s *story) end() {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		s.cleanup[i]()
	}
	s.tasks.Wait()
}

// prepare lays out the shop, starts it, and starts a server that knows it.
func (s *story) prepare(ctx context.Context) error {
	if err := s.makeDir(); err != nil {
		return err
	}
	if err := install(s.dir); err != nil {
		return err
	}
	var err error
	if s.shop, s.shopAddr, err = startShop(ctx, s.o.Program, s.dir); err != nil {
		return err
	}
	s.later(func() {
		_ = s.shop.Process.Signal(os.Interrupt)
		_ = s.shop.Wait()
	})
	hookURL, err := s.startHook()
	if err != nil {
		return err
	}
	if err := s.startServer(ctx, hookURL); err != nil {
		return err
	}
	if err := s.invite(ctx); err != nil {
		return err
	}
	return s.giveToken(ctx, s.people[0])
}

func (s *story) makeDir() error {
	if s.o.Dir != "" {
		s.dir = s.o.Dir
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return fmt.Errorf("make demo directory: %w", err)
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "backout-demo-")
	if err != nil {
		return fmt.Errorf("make demo directory: %w", err)
	}
	s.dir = dir
	s.later(func() { _ = os.RemoveAll(dir) })
	return nil
}

// tell runs the story from the first green to the last.
func (s *story) tell(ctx context.Context) error {
	monitoring := &prober{
		health: "http://" + s.shopAddr + "/health", webhook: "http://" + s.app.Addr() + "/api/v1/alertmanager",
		token: s.token["alertmanager.token"], target: "web-1", every: 250 * time.Millisecond, watchdog: s.pace.watchdog, say: s.say, client: &http.Client{Timeout: 2 * time.Second},
	}
	if err := monitoring.probe(ctx); err != nil {
		return fmt.Errorf("the shop must be well before the patch: %w", err)
	}
	s.say("shop         a web service runs as process %d: it is well", s.shop.Process.Pid)
	probing, stop := context.WithCancel(ctx)
	s.tasks.Go(func() { monitoring.run(probing) })
	s.later(stop)
	if err := s.patch(ctx); err != nil {
		return err
	}
	id, err := s.awaitRollback(ctx)
	if err != nil {
		return err
	}
	status, err := s.follow(ctx, id)
	if err != nil {
		return err
	}
	if status != backout.RollbackRecovered {
		return fmt.Errorf("rollback %s ended %s: %w", id, status, errNotBack)
	}
	if err := monitoring.probe(ctx); err != nil {
		return fmt.Errorf("the rollback says recovered, the shop says: %w", err)
	}
	s.awaitNotices(ctx)
	s.card(ctx, "has recovered")
	if s.touched {
		s.say("shop         is well again, by what backout did and people said")
	} else {
		s.say("shop         is well again: red to recovered without anybody touching anything")
	}
	return nil
}

var errNotBack = errors.New("the shop is not back")

// patch opens the change's window through the gate and applies the patch.
func (s *story) patch(ctx context.Context) error {
	now := time.Now()
	_, err := s.client.PlanChange(ctx, backout.ChangeSpec{
		ID: changeID, Title: "web shop 2.0", Patch: backout.Patch{Kind: "packages", IDs: []string{"web-shop-2.0"}}, Targets: []string{"web-1"},
		Plan: "web-shop", Owner: "ann", Window: backout.Window{Opens: now, Closes: now.Add(time.Hour), Watch: backout.Duration(time.Hour)},
	})
	if err != nil {
		return fmt.Errorf("plan change: %w", err)
	}
	if _, err := s.client.OpenChange(ctx, changeID); err != nil {
		return fmt.Errorf("open window: %w", err)
	}
	s.say("change       %s: the gate passed, its window is open", changeID)
	if _, err := s.client.PatchStarted(ctx, changeID); err != nil {
		return fmt.Errorf("start patching: %w", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.dir, "bin", "apply-patch")) //nolint:gosec // the demo's own script
	cmd.Env = append(os.Environ(), "SHOP="+filepath.Join(s.dir, "shop"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("apply patch: %w: %s", err, out)
	}
	s.say("patch        %s", strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", "; "))
	if _, err := s.client.PatchEnded(ctx, changeID, 0); err != nil {
		return fmt.Errorf("end patching: %w", err)
	}
	return nil
}
