package demo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/client"
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
}

// changeID is the demo's change.
const changeID = "CHG0030001"

// Run tells the story and returns nil when it ended well: the shop is back. It
// then stays up to be looked at, until ctx ends, unless told to exit.
func Run(ctx context.Context, o Options) error {
	s := &story{o: o, started: time.Now()}
	defer s.end()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.tell(ctx); err != nil {
		return err
	}
	if o.Exit {
		return nil
	}
	s.say("demo         the server stays up until Ctrl-C; look at it from another terminal:")
	s.say("               export BACKOUT_SERVER=http://%s BACKOUT_TOKEN_FILE=%s", s.app.Addr(), filepath.Join(s.dir, "secrets", "ann.token"))
	s.say("               go run ./cmd/backout rollback show %s-r1", changeID)
	<-ctx.Done()
	return nil
}

// story is one run of the demo.
type story struct {
	o       Options
	dir     string
	started time.Time
	outMu   sync.Mutex

	shop     *exec.Cmd
	shopAddr string
	hook     *http.Server
	app      *app.App
	client   *client.Client
	token    map[string]string

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
	return s.startServer(ctx, hookURL)
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

// startHook is where the demo's notices arrive: a webhook receiver that prints.
func (s *story) startHook() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for notices: %w", err)
	}
	s.hook = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			Notice  backout.Notice `json:"notice"`
			Subject string         `json:"subject"`
		}
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err == nil {
			s.say("notice       [to %s] %s", body.Notice.Audience, body.Subject)
		}
	})}
	s.tasks.Go(func() { _ = s.hook.Serve(listener) })
	s.later(func() { _ = s.hook.Close() })
	return "http://" + listener.Addr().String(), nil
}

func (s *story) startServer(ctx context.Context, hookURL string) error {
	s.token = map[string]string{}
	for _, name := range []string{"alertmanager.token", "ann.token", "hook.secret"} {
		var raw [24]byte
		if _, err := rand.Read(raw[:]); err != nil {
			return fmt.Errorf("make secret: %w", err)
		}
		s.token[name] = hex.EncodeToString(raw[:])
		if err := writeFile(filepath.Join(s.dir, "secrets", name), []byte(s.token[name]), 0o600); err != nil {
			return err
		}
	}
	listen := s.o.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	_, port, err := net.SplitHostPort(s.shopAddr)
	if err != nil {
		return fmt.Errorf("shop's address: %w", err)
	}
	config := filepath.Join(s.dir, "config")
	err = write(config, Values{
		Listen: listen, DataDir: filepath.Join(s.dir, "data"), Secrets: filepath.Join(s.dir, "secrets"), HookURL: hookURL,
		Every: "500ms", HoldFor: "2s", EscalateAfter: "6s", Timeout: "5s", Port: port,
		Bin: filepath.Join(s.dir, "bin"), Target: "web-1", Address: "127.0.0.1", Transport: "local",
	})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(s.o.Out, &slog.HandlerOptions{Level: slog.LevelError}))
	if s.app, err = app.New(ctx, app.Options{Config: filepath.Join(config, "backout.yaml"), Log: log}); err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	s.later(func() { _ = s.app.Close() })
	if err := s.app.Start(); err != nil {
		return err
	}
	s.client, err = client.New(client.Options{Server: "http://" + s.app.Addr(), Token: backout.SecretValue(s.token["ann.token"])})
	if err != nil {
		return err
	}
	s.say("backout      serving on http://%s, its store in %s", s.app.Addr(), filepath.Join(s.dir, "data"))
	return nil
}

// tell runs the story from the first green to the last.
func (s *story) tell(ctx context.Context) error {
	monitoring := &prober{
		health: "http://" + s.shopAddr + "/health", webhook: "http://" + s.app.Addr() + "/api/v1/alertmanager",
		token: s.token["alertmanager.token"], target: "web-1", every: 250 * time.Millisecond, say: s.say, client: &http.Client{Timeout: 2 * time.Second},
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
	s.say("shop         is well again: red to recovered without anybody touching anything")
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

// awaitRollback waits until the alert has opened a rollback.
func (s *story) awaitRollback(ctx context.Context) (string, error) {
	deadline, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		list, err := s.client.ListRollbacks(deadline, handlers.RollbackFilter{ChangeID: changeID})
		if err == nil && len(list) > 0 {
			return list[0].ID, nil
		}
		select {
		case <-deadline.Done():
			return "", fmt.Errorf("no rollback was opened: %w", context.Cause(deadline))
		case <-ticker.C:
		}
	}
}

// follow prints the rollback's log as it grows, and returns how it ended.
func (s *story) follow(ctx context.Context, id string) (backout.RollbackStatus, error) {
	deadline, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var status backout.RollbackStatus
	err := s.client.FollowRollback(deadline, id, 0, client.Watcher{Entry: func(entry handlers.LogEntry) error {
		for _, ev := range entry.Record.Events {
			if line := eventLine(ev); line != "" {
				s.say("rollback     %s", line)
			}
			if ended, ok := ev.(backout.Ended); ok {
				status = ended.Status
			}
		}
		return nil
	}})
	if err != nil {
		return status, fmt.Errorf("follow rollback %s: %w", id, err)
	}
	return status, nil
}

// awaitNotices gives the last notices the time to arrive.
func (s *story) awaitNotices(ctx context.Context) {
	deadline, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for deadline.Err() == nil {
		if waiting, err := s.client.Notices(deadline); err == nil && len(waiting) == 0 {
			return
		}
		select {
		case <-deadline.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// eventLine puts an event in words; "" for what would only repeat another.
func eventLine(ev backout.Event) string {
	switch ev := ev.(type) {
	case backout.Opened:
		return fmt.Sprintf("%s opened for %s by rule %s", ev.RollbackID, strings.Join(ev.Targets, ", "), ev.Trigger.Verdict.Rule)
	case backout.LevelEntered:
		return fmt.Sprintf("L%d starts", ev.Level+1)
	case backout.StepStarted:
		return "step started on " + ev.Target + ": attempt " + ev.AttemptID
	case backout.ClockStarted:
		return "the clock of the level runs until " + ev.Deadline.Local().Format(time.TimeOnly)
	case backout.StepDone:
		return fmt.Sprintf("step done on %s: exit %d", ev.Target, ev.Outcome.ExitCode)
	case backout.StepFailed:
		return "step failed on " + ev.Target + ": " + ev.Reason
	case backout.TargetRed:
		return ev.Target + " is red: " + ev.Reason
	case backout.TargetGreen:
		return ev.Target + " is green; it must stay so"
	case backout.TargetBack:
		return ev.Target + " has recovered"
	case backout.LevelFailed:
		return fmt.Sprintf("L%d did not help (%s): escalating", ev.Level+1, ev.Cause)
	case backout.Ended:
		return string(ev.Status) + ": " + ev.Reason
	}
	return ""
}
