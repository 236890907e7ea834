package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestLoginIsFilledIn: what follows from other keys is there, and people who sign in are
// as good as people with tokens.
func TestLoginIsFilledIn(t *testing.T) {
	load := func(oidc string) *Config {
		t.Helper()
		path := filepath.Join(t.TempDir(), "backout.yaml")
		text := "external_url: https://backout.example.org/b/\nintake: {tokens: [{name: am, token: {env: BACKOUT_TEST_A}}]}\n" +
			"groups: {sre: []}\nauth:\n  roles: [{role: approver, groups: [by-role, glass], where: everywhere}, {role: admin, users: [dora], where: everywhere}]\n  oidc: {issuer: \"https://id.example.org\", client_id: web" + oidc + "}\n" +
			"  users: [{name: glass, groups: [glass], password_hash: \"$2a$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW\"}]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		kinds := fakeKinds(t)
		kinds.Offline = true
		cfg, problems := Load(path, kinds)
		if cfg == nil || problems != nil {
			t.Fatal(problems)
		}
		return cfg
	}
	cfg := load(", scopes: [profile]")
	o := cfg.Auth.OIDC
	if o.RedirectURL != "https://backout.example.org/b/login/callback" || !slices.Equal(o.Scopes, []string{"openid", "profile"}) || o.CLIClientID != "web" || o.GroupsClaim != "groups" {
		t.Errorf("%+v", o)
	}
	if !cfg.KnownGroup("sre") || !cfg.KnownGroup("glass") || !cfg.KnownGroup("by-role") || cfg.KnownGroup("else") || cfg.KnownGroup("") || !slices.Equal(cfg.Members("glass"), []string{"glass"}) {
		t.Error("groups of people who sign in are not known, or others are")
	}
	if o := load(", client_secret: {env: BACKOUT_TEST_B}").Auth.OIDC; o.CLIClientID != "" {
		t.Errorf("a client with a secret is given to every command line: %+v", o)
	}
}
