package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/client"
)

// accessRoles: ann writes the web team's changes, vera only looks, root runs the server.
const accessRoles = `  roles:
    - {role: author, users: [ann], where: {team: web}}
    - {role: viewer, groups: [all], where: everywhere}
    - {role: admin, users: [root], where: everywhere}
`

// accessSite is a server whose files can change.
type accessSite struct {
	t   *testing.T
	app *app.App
	dir string
	log *lockedLog
}

type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (s *accessSite) write(roles string) {
	s.t.Helper()
	tokens := ""
	for _, name := range []string{"ann", "vera", "root"} {
		tokens += "    - {name: " + name + ", groups: [all], token: {file: " + name + ".token}}\n"
	}
	for name, text := range map[string]string{
		"ann.token": "ann" + releaseToken, "vera.token": "vera" + releaseToken, "root.token": "root" + releaseToken, "am.token": "am" + releaseToken,
		"inventory.yaml": "targets:\n  - {name: web-1, transport: local, labels: {team: web}}\n  - {name: db-1, transport: local, labels: {team: db}}\n",
		"backout.yaml": "listen: 127.0.0.1:0\ndata_dir: data\nserver_name: one\ninventory: [inventory.yaml]\nintake: {tokens: [{name: am, token: {file: am.token}}]}\n" +
			"auth:\n  tokens:\n" + tokens + roles,
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func newAccessSite(t *testing.T, roles string) *accessSite {
	t.Helper()
	s := &accessSite{t: t, dir: t.TempDir(), log: &lockedLog{}}
	s.write(roles)
	s.start()
	return s
}

func (s *accessSite) start() {
	t := s.t
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.app, err = app.New(t.Context(), app.Options{
		Config: filepath.Join(s.dir, "backout.yaml"), Listener: listener, Attempts: filepath.Join(s.dir, "attempts"), Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(errors.Join(err, listener.Close()))
	}
	started := s.app
	t.Cleanup(func() {
		if err := started.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.app.Start(); err != nil {
		t.Fatal(err)
	}
}

func (s *accessSite) as(name string) *client.Client {
	s.t.Helper()
	return clientAs(s.t, "http://"+s.app.Addr(), name)
}

func (s *accessSite) with(token backout.Secret) *client.Client {
	s.t.Helper()
	c, err := client.New(client.Options{Server: "http://" + s.app.Addr(), Token: token})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func plan(ctx context.Context, c *client.Client, id, target string) error {
	opens := time.Now().Add(time.Hour)
	_, err := c.PlanChange(ctx, backout.ChangeSpec{
		ID: id, Plan: "web", Targets: []string{target}, Labels: map[string]string{"team": "web"},
		Window: backout.Window{Opens: opens, Closes: opens.Add(time.Hour), Watch: backout.Duration(time.Hour)},
	})
	return err
}

func TestRolesOfTheConfigHold(t *testing.T) {
	s := newAccessSite(t, accessRoles)
	ctx := t.Context()
	for name, tt := range map[string]struct {
		err error
		may bool
	}{
		"ann plans for web":        {plan(ctx, s.as("ann"), "CHG1", "web-1"), true},
		"ann plans for db":         {plan(ctx, s.as("ann"), "CHG2", "db-1"), false},
		"vera plans":               {plan(ctx, s.as("vera"), "CHG3", "web-1"), false},
		"root plans":               {plan(ctx, s.as("root"), "CHG4", "web-1"), false},
		"root reloads":             {s.as("root").Reload(ctx), true},
		"ann reloads":              {s.as("ann").Reload(ctx), false},
		"ann pauses what is there": {second(s.as("ann").Pause(ctx, "x")), false},
		"root pauses":              {second(s.as("root").Pause(ctx, "x")), true},
		"root resumes":             {second(s.as("root").Resume(ctx, "x")), false},
	} {
		if (tt.err == nil) != tt.may || tt.err != nil && !errors.Is(tt.err, backout.ErrForbidden) {
			t.Errorf("%s: %v, want allowed %v", name, tt.err, tt.may)
		}
	}
	list, err := s.as("vera").ListChanges(ctx, handlers.ChangeFilter{})
	if err != nil || len(list) != 1 || list[0].ID != "CHG1" {
		t.Errorf("changes: %+v, %v", list, err)
	}
	for _, part := range []string{"call=PlanChange on=CHG2", "by=vera"} {
		if !strings.Contains(s.log.String(), part) {
			t.Errorf("the log lacks %q", part)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestATokenLivesAsLongAsItsMakersRight: made over the API, kept in the store, and
// worth nothing once it is revoked or the config takes the role away.
func TestATokenLivesAsLongAsItsMakersRight(t *testing.T) {
	s := newAccessSite(t, accessRoles)
	ctx := t.Context()
	request := handlers.TokenRequest{Note: "pipeline", Roles: []backout.Role{backout.RoleAuthor}, Labels: map[string]string{"team": "web"}}
	if _, err := s.as("vera").CreateToken(ctx, request); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("vera lends what she does not have: %v", err)
	}
	made, err := s.as("ann").CreateToken(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	token := s.with(made.Token)
	if err := plan(ctx, token, "CHG1", "web-1"); err != nil {
		t.Errorf("the token plans: %v", err)
	}
	if err := plan(ctx, token, "CHG2", "db-1"); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("the token plans elsewhere: %v", err)
	}
	if change, err := s.as("vera").Change(ctx, "CHG1"); err != nil || change.Requester != "ann" {
		t.Errorf("the requester is %q, %v", change.Requester, err)
	}
	if _, err := token.CreateToken(ctx, request); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("the token makes a token: %v", err)
	}
	s.write(strings.Replace(accessRoles, "users: [ann]", "users: [root]", 1))
	if err := s.app.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	if err := plan(ctx, token, "CHG5", "web-1"); !errors.Is(err, backout.ErrForbidden) {
		t.Errorf("after the role was taken away: %v", err)
	}
	if _, err := s.as("root").RevokeToken(ctx, made.ID, "left"); err != nil {
		t.Fatal(err)
	}
	if _, err := token.ListChanges(ctx, handlers.ChangeFilter{}); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("after it was revoked: %v", err)
	}
	list, err := s.as("root").ListTokens(ctx, true)
	if err != nil || len(list) != 1 || list[0].State != "revoked" || list[0].LastUsed.IsZero() {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if strings.Contains(s.log.String(), made.Token.Reveal()) {
		t.Error("the token is in the log")
	}
}

// TestWithoutRolesAnUpgradeTakesNothingAway: whoever has a token does what they did.
func TestWithoutRolesAnUpgradeTakesNothingAway(t *testing.T) {
	s := newAccessSite(t, "")
	ctx := t.Context()
	for name, err := range map[string]error{
		"plans": plan(ctx, s.as("vera"), "CHG1", "db-1"), "reloads": s.as("vera").Reload(ctx), "pauses": second(s.as("vera").Pause(ctx, "x")),
		"resumes": second(s.as("vera").Resume(ctx, "x")), "reads": second(s.as("vera").ListChanges(ctx, handlers.ChangeFilter{})),
	} {
		if err != nil {
			t.Errorf("vera %s: %v", name, err)
		}
	}
	problems := app.Check(ctx, filepath.Join(s.dir, "backout.yaml"))
	if problems.Fatal() != nil || !strings.Contains(problems.Error(), "no auth.roles") {
		t.Errorf("check says %v", problems)
	}
}

// TestWithoutAnyTokenThisMachineDoesEverything, and makes no tokens: they would let
// nobody in. A file that lost its tokens does not open a server that runs.
func TestWithoutAnyTokenThisMachineDoesEverything(t *testing.T) {
	s := newAccessSite(t, accessRoles)
	text := "listen: 127.0.0.1:0\ndata_dir: data\nserver_name: one\ninventory: [inventory.yaml]\n"
	if err := os.WriteFile(filepath.Join(s.dir, "backout.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "must say who they are") {
		t.Errorf("a reload opens the server: %v", err)
	}
	if _, err := s.with(backout.Secret{}).ListChanges(t.Context(), handlers.ChangeFilter{}); !errors.Is(err, client.ErrUnauthenticated) {
		t.Errorf("after the reload that was refused: %v", err)
	}
	if err := s.app.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	local := s.with(backout.Secret{})
	for name, err := range map[string]error{
		"plans": plan(t.Context(), local, "CHG1", "db-1"), "reloads": local.Reload(t.Context()), "pauses": second(local.Pause(t.Context(), "x")), "resumes": second(local.Resume(t.Context(), "x")),
	} {
		if err != nil {
			t.Errorf("it %s: %v", name, err)
		}
	}
	_, err := local.CreateToken(t.Context(), handlers.TokenRequest{Note: "x", Roles: []backout.Role{backout.RoleViewer}, Everywhere: true})
	if !errors.Is(err, backout.ErrRefused) || !strings.Contains(err.Error(), "auth.tokens") {
		t.Errorf("a token: %v", err)
	}
}
