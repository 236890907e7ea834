package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/webconfig"
)

func webFile(t *testing.T, text string) *webconfig.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, problems := webconfig.Load(path)
	if f == nil {
		t.Fatal(problems)
	}
	return f
}

// TestAWebConfigReadAgainOpensNothing: what a start would refuse, a file that has
// changed may not bring either.
func TestAWebConfigReadAgainOpensNothing(t *testing.T) {
	const user = "basic_auth_users: {am: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n"
	a := &App{}
	a.settings.Store(&config.Settings{
		Listen: "127.0.0.1:8420", ExternalURL: "https://backout.example.org", Web: webFile(t, user),
		Auth: config.Auth{Tokens: []config.Token{{Name: "alice", Token: backout.SecretValue("alice-token-0123456789")}}},
	})
	if err := a.vetWeb(webFile(t, user+"http_server_config: {http2: false}\n")); err != nil {
		t.Error(err)
	}
	if err := a.vetWeb(webFile(t, "basic_auth_users: {}\n")); err == nil || !strings.Contains(err.Error(), "external_url") {
		t.Errorf("without any sender: %v", err)
	}
	// On loopback no address stops it: whoever must say who they are must go on to.
	a.settings.Store(&config.Settings{Listen: "127.0.0.1:8420", ExternalURL: "http://127.0.0.1:8420", Web: webFile(t, user)})
	if err := a.vetWeb(webFile(t, "basic_auth_users: {}\n")); err == nil || !strings.Contains(err.Error(), restartFix) {
		t.Errorf("without any sender on loopback: %v", err)
	}
	a.settings.Store(&config.Settings{Listen: "127.0.0.1:8420", ExternalURL: "http://127.0.0.1:8420", Web: webFile(t, "basic_auth_users: {}\n")})
	if err := a.vetWeb(webFile(t, "http_server_config: {http2: false}\n")); err != nil {
		t.Errorf("a server that was open before: %v", err)
	}
	// A sender that came since the config was loaded counts as well.
	a.web = webconfig.NewLive("", webFile(t, user), nil, nil)
	if err := a.vetWeb(webFile(t, "basic_auth_users: {}\n")); err == nil || !strings.Contains(err.Error(), restartFix) {
		t.Errorf("without the sender that came meanwhile: %v", err)
	}
}
