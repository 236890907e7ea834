package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOfflineDoesWithoutTheWebConfig: who judges files without being the server may
// not read the server's key, and is told nothing of it.
func TestOfflineDoesWithoutTheWebConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backout.yaml")
	if err := os.WriteFile(path, []byte("listen: 0.0.0.0:8420\nweb_config: gone.yml\nauth: {tokens: [{name: alice, token: {file: gone}}], roles: [{role: admin, users: [alice], where: everywhere}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := fakeKinds(t)
	kinds.Offline = true
	if cfg, problems := Load(path, kinds); cfg == nil || len(problems) > 0 {
		t.Errorf("offline: %v", problems)
	}
	kinds.Offline = false
	if cfg, problems := Load(path, kinds); cfg != nil || !strings.Contains(problems.Fatal().Error(), "gone.yml cannot be opened") {
		t.Errorf("as the server: %v", problems)
	}
}

// TestAnySenderCounts: TLS and senders of the web config file are as good as tls and
// intake.tokens.
func TestAnySenderCounts(t *testing.T) {
	t.Chdir(t.TempDir())
	certificate(t)
	text := map[string]string{
		"web.yml":   "tls_server_config: {cert_file: tls/cert.pem, key_file: secrets/key.pem}\n",
		"users.yml": "basic_auth_users: {am: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n",
		"token":     "a-token-long-enough", "grafana": "grafana-long-enough",
	}
	text["both.yml"] = text["web.yml"] + text["users.yml"]
	for name, data := range text {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const head = "listen: 0.0.0.0:8420\nauth: {tokens: [{name: alice, token: {file: token}}]}\n"
	const signs = "intake: {senders: [{name: grafana, hmac: {scheme: grafana, secret: {file: grafana}}}]}\n"
	const tls = "tls: {cert_file: tls/cert.pem, key_file: secrets/key.pem}\n"
	for name, tc := range map[string]struct{ more, want string }{
		"TLS and users of the file": {"web_config: both.yml\n", ""},
		"TLS of the file, signer":   {"web_config: web.yml\n" + signs, ""},
		"TLS here, users of a file": {tls + "web_config: users.yml\n", ""},
		"TLS here, signer":          {tls + signs, ""},
		"no sender":                 {"web_config: web.yml\n", "no intake.tokens"},
		"no TLS":                    {"web_config: users.yml\n", "no tls.cert_file"},
		"two certificates":          {tls + "web_config: both.yml\n", "keep one of them"},
	} {
		if err := os.WriteFile("backout.yaml", []byte(head+tc.more), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, problems := Load("backout.yaml", fakeKinds(t))
		switch {
		case tc.want == "" && (cfg == nil || !strings.HasPrefix(cfg.ExternalURL, "https://")):
			t.Errorf("%s: %v", name, problems)
		case tc.want != "" && (cfg != nil || !strings.Contains(problems.Fatal().Error(), tc.want)):
			t.Errorf("%s: want %q, got %v", name, tc.want, problems)
		}
	}
}

// TestBothWaysInOrNone: with anybody known, nobody else is let in; so people without
// senders would lose every alert, and senders without people the API.
func TestBothWaysInOrNone(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, data := range map[string]string{
		"users.yml": "basic_auth_users: {am: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG}\n", "none.yml": "{}\n",
		"token": "a-token-long-enough", "sender": "a-sender-long-enough", "grafana": "grafana-long-enough",
	} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const roles = "roles: [{role: admin, groups: [sre], where: everywhere}]"
	const oidc = "oidc: {issuer: \"https://id.example.org\", client_id: web}"
	const glass = "users: [{name: glass, groups: [sre], password_hash: $2a$10$C3XxsTQ6wuyPgN52q/.11ODvSuKOZ.jDVpmMaMmXyeiWRdtE5KH1i}]"
	const alice = "tokens: [{name: alice, groups: [sre], token: {file: token}}]"
	people := map[string]string{
		"nobody": "", "tokens": "auth: {" + alice + ", " + roles + "}\n", "users": "auth: {" + glass + ", " + roles + "}\n", "a provider": "auth: {" + oidc + ", " + roles + "}\n",
		"all of them": "auth: {" + alice + ", " + glass + ", " + oidc + ", " + roles + "}\n",
	}
	senders := map[string]string{
		"nobody": "", "a file of nobody": "web_config: none.yml\n", "tokens": "intake: {tokens: [{name: am, token: {file: sender}}]}\n",
		"a signer": "intake: {senders: [{name: grafana, hmac: {scheme: grafana, secret: {file: grafana}}}]}\n", "passwords": "web_config: users.yml\n",
		"all of them": "web_config: users.yml\nintake: {tokens: [{name: am, token: {file: sender}}], senders: [{name: grafana, hmac: {scheme: grafana, secret: {file: grafana}}}]}\n",
	}
	for who, auth := range people {
		for from, intake := range senders {
			if err := os.WriteFile("backout.yaml", []byte(auth+intake), 0o600); err != nil {
				t.Fatal(err)
			}
			want := ""
			switch sends := from != "nobody" && from != "a file of nobody"; {
			case who != "nobody" && !sends:
				want = "every alert would be refused"
			case who == "nobody" && sends:
				want = "nobody could use the API"
			}
			cfg, problems := Load("backout.yaml", fakeKinds(t))
			switch err := problems.Fatal(); {
			case want == "" && cfg == nil:
				t.Errorf("people: %s, senders: %s: %v", who, from, problems)
			case want != "" && (cfg != nil || !strings.Contains(err.Error(), want) || len(problems) != 1):
				t.Errorf("people: %s, senders: %s: want %q once, got %v", who, from, want, problems)
			}
		}
	}
}
