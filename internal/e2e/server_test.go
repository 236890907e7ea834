package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
)

// The secrets of every site.
const (
	intakeToken = "intake-token-0123456789abcdef"
	annToken    = "ann-token-0123456789abcdef-ghi"
	bobToken    = "bob-token-0123456789abcdef-jkl"
	celToken    = "cel-token-0123456789abcdef-mno"
	hookSecret  = "hook-secret-0123456789abcdef"
	slackToken  = "xoxb-0123456789-abcdef"
)

// site is the files of one server.
type site struct {
	t   testing.TB
	dir string
	// change is an id that no other run uses: targets keep attempts by it.
	change string
	// name, listen and more go into backout.yaml.
	name, listen, more string
	// channels and audiences are YAML below these keys.
	channels string
	audience string
	// approvers are further entries of auth.tokens, each behind a comma; holder has the
	// first one, which the tests themselves use.
	approvers, holder string
	// intake is lines below intake, auth lines below auth, behind their tokens.
	intake, auth string
	// env is added to the server's environment.
	env []string
	// near starts the server in its own folder, so that it names its files without it.
	near bool
}

// newSite lays out the files of a server whose plan, rules and inventory come
// from the caller.
func newSite(t testing.TB, plan, rules, inventory string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), change: "CHG" + rand.Text()[:10], name: "e2e", listen: "127.0.0.1:0", holder: "ann"}
	t.Cleanup(s.forget)
	for name, secret := range map[string]string{
		"intake.token": intakeToken, "ann.token": annToken, "bob.token": bobToken, "cel.token": celToken, "hook.secret": hookSecret, "slack.token": slackToken,
	} {
		write(t, s.path("secrets/"+name), secret, 0o600)
	}
	write(t, s.path("plans/plan.yaml"), plan, 0o644)
	write(t, s.path("rules/rules.yaml"), rules, 0o644)
	write(t, s.path("inventory/targets.yaml"), inventory, 0o644)
	return s
}

// forget removes the attempts that this machine keeps of rollbacks that the test
// did not bring to their end.
func (s *site) forget() {
	places := []string{"/var/lib/backout/attempts"}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, ".local/state/backout/attempts"))
	}
	for _, place := range places {
		left, _ := filepath.Glob(filepath.Join(place, "*"+s.change+"*"))
		for _, dir := range left {
			_ = os.RemoveAll(dir)
		}
	}
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// config writes backout.yaml and returns its path.
func (s *site) config() string {
	s.t.Helper()
	text := fmt.Sprintf(`listen: %s
server_name: %s
intake:
  tokens: [{name: alertmanager, token: {file: secrets/intake.token}}]
%sauth:
  tokens: [{name: %s, groups: [sre], token: {file: secrets/ann.token}}%s]
%srules: [rules/*.yaml]
plans: [plans/*.yaml]
inventory: [inventory/*.yaml]
`, s.listen, s.name, s.intake, s.holder, s.approvers, s.auth)
	if !strings.Contains(s.more, "data_dir:") {
		text += "data_dir: data\n"
	}
	if s.channels != "" {
		text += "channels:\n" + s.channels + "audiences:\n" + s.audience
	}
	write(s.t, s.path("backout.yaml"), text+s.more, 0o644)
	return s.path("backout.yaml")
}

// server is the running product.
type server struct {
	*process
	site   *site
	url    string
	client *client.Client
	// ready is how long it took from the start of the process.
	ready time.Duration
}

// launch runs "backout serve" and does not wait for anything.
func (s *site) launch() *process {
	s.t.Helper()
	config := s.config()
	cmd := exec.Command(binary(s.t), "serve", "--config", config, "--log-format", "json", "--log-level", "debug")
	if s.near {
		cmd.Dir, cmd.Args[3] = filepath.Dir(config), filepath.Base(config)
	}
	cmd.Env = append(os.Environ(), s.env...)
	return start(s.t, cmd)
}

// serve runs the server until the test ends and returns once it is ready.
func (s *site) serve() *server {
	s.t.Helper()
	srv, err := s.tryServe(30 * time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	return srv
}

// errEnded says that the server ended before it was ready.
var errEnded = errors.New("the server ended")

// tryServe is serve for servers that may end before they are ready.
func (s *site) tryServe(within time.Duration) (*server, error) {
	s.t.Helper()
	return s.await(s.launch(), within)
}

// await returns the server once it is ready, or why it is not.
func (s *site) await(p *process, within time.Duration) (*server, error) {
	s.t.Helper()
	began := time.Now()
	srv := &server{process: p, site: s}
	err := poll(within, "the server says where it listens and is ready", func() error {
		select {
		case <-srv.over:
			return nil
		default:
		}
		if srv.url = addressIn(srv.said.String()); srv.url == "" {
			return errNotYet
		}
		return get(srv.url+"/readyz", http.StatusOK)
	})
	if err != nil {
		// What it waits for shows in its goroutines.
		_ = srv.cmd.Process.Signal(syscall.SIGQUIT)
		srv.wait(s.t, 10*time.Second)
		return nil, fmt.Errorf("%w; it said:\n%s", err, srv.said.tail(2000))
	}
	select {
	case <-srv.over:
		return nil, fmt.Errorf("%w: %w: %s", errEnded, srv.err, srv.said.tail(3))
	default:
	}
	srv.ready = time.Since(began)
	if srv.client, err = client.New(client.Options{Server: srv.url, Token: backout.SecretValue(annToken)}); err != nil {
		return nil, err
	}
	return srv, nil
}

// addressIn finds the line of the log that says where the server listens.
func addressIn(log string) string {
	for line := range strings.Lines(log) {
		var said struct {
			Msg, Address string
			TLS          bool
		}
		if json.Unmarshal([]byte(line), &said) != nil || said.Msg != "serving" {
			continue
		}
		if said.TLS {
			return "https://" + said.Address
		}
		return "http://" + said.Address
	}
	return ""
}

func get(url string, want int) error {
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}

// terminate asks the server to stop, and returns the exit code.
func (srv *server) terminate(within time.Duration) int {
	srv.site.t.Helper()
	_ = srv.cmd.Process.Signal(syscall.SIGTERM)
	return srv.wait(srv.site.t, within)
}

// cli runs the command line as ann and returns its exit code and what it said.
func (srv *server) cli(args ...string) (code int, stdout, stderr string) {
	srv.site.t.Helper()
	return run(srv.site.t, []string{"BACKOUT_SERVER=" + srv.url, "BACKOUT_TOKEN=" + annToken}, args...)
}

// run runs the binary to its end.
func run(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// mustCLI runs the command line and wants exit code 0.
func (srv *server) mustCLI(args ...string) string {
	srv.site.t.Helper()
	code, stdout, stderr := srv.cli(args...)
	if code != 0 {
		srv.site.t.Fatalf("backout %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// plan makes the site's change on the targets.
func (srv *server) plan(id string, targets ...string) {
	srv.site.t.Helper()
	args := []string{"change", "create", "--id", id, "--title", "web shop 2.0", "--plan", "web-shop", "--opens", "now", "--closes", "+1h", "--watch", "1h", "--owner", "ann"}
	for _, target := range targets {
		args = append(args, "--target", target)
	}
	srv.mustCLI(args...)
}

// open plans the site's change and opens its window.
func (srv *server) open(targets ...string) {
	srv.site.t.Helper()
	srv.plan(srv.site.change, targets...)
	srv.mustCLI("change", "open", srv.site.change)
}

// rollbacks lists the rollbacks of the site's change.
func (srv *server) rollbacks() []backout.Rollback {
	srv.site.t.Helper()
	list, err := srv.client.ListRollbacks(srv.site.t.Context(), handlers.RollbackFilter{ChangeID: srv.site.change})
	if err != nil {
		srv.site.t.Fatal(err)
	}
	return list
}

// awaitRollback waits until the change has its first rollback.
func (srv *server) awaitRollback(within time.Duration) string {
	srv.site.t.Helper()
	id := srv.site.change + "-r1"
	eventually(srv.site.t, within, "the rollback is opened", func() error {
		_, err := srv.client.Rollback(srv.site.t.Context(), id)
		return err
	})
	return id
}

// awaitStatus waits until the rollback stands there.
func (srv *server) awaitStatus(id string, want backout.RollbackStatus, within time.Duration) backout.Rollback {
	srv.site.t.Helper()
	var r backout.Rollback
	eventually(srv.site.t, within, "the rollback is "+string(want), func() error {
		var err error
		if r, err = srv.client.Rollback(srv.site.t.Context(), id); err != nil {
			return err
		}
		if r.Status != want {
			return fmt.Errorf("it is %s, level %d, %s, targets %+v", r.Status, r.Level, r.Reason, r.Targets)
		}
		return nil
	})
	return r
}

// count tells how many events of the rollback's log are of this kind.
func count[E backout.Event](srv *server, id string) int {
	srv.site.t.Helper()
	entries, err := srv.client.RollbackLog(srv.site.t.Context(), id)
	if err != nil {
		srv.site.t.Fatal(err)
	}
	n := 0
	for _, entry := range entries {
		for _, ev := range entry.Record.Events {
			if _, is := ev.(E); is {
				n++
			}
		}
	}
	return n
}
