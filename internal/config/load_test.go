package config

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/strictyaml"
)

// certificate writes a self-signed pair where full.txtar looks for it.
func certificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls/cert.pem": {Type: "CERTIFICATE", Bytes: der}, "secrets/key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// full loads testdata/good/full.txtar.
func full(t *testing.T) (cfg *Config, dir, archive string) {
	t.Helper()
	archive, err := filepath.Abs("testdata/good/full.txtar")
	if err != nil {
		t.Fatal(err)
	}
	_, dir = extract(t, archive)
	certificate(t)
	t.Setenv("BACKOUT_TEST_BOB", "bob-ZZZ-token-12")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if err := os.WriteFile("am", []byte("am-ZZZ-token-123\n"), 0o444); err != nil {
		t.Fatal(err)
	}
	cfg, problems := Load("backout.yaml", fakeKinds(t))
	if problems != nil {
		t.Fatal(problems)
	}
	return cfg, dir, archive
}

func TestLoadEveryKey(t *testing.T) {
	cfg, dir, archive := full(t)
	golden := strings.TrimSuffix(archive, ".txtar") + ".json"
	data, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(string(data), dir, "$DIR") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadedSecretsAreReadAndNeverShown(t *testing.T) {
	cfg, _, _ := full(t)
	for want, s := range map[string]backout.Secret{
		"alice-ZZZ-token-1": cfg.Auth.Tokens[0].Token, "bob-ZZZ-token-12": cfg.Auth.Tokens[1].Token, "am-ZZZ-token-123": cfg.Intake.Tokens[0].Token, "creds-ZZZ": cfg.NATS.Credentials,
	} {
		if s.Reveal() != want {
			t.Errorf("a secret of %v is wrong", s.Ref())
		}
	}
	data, err := json.Marshal(cfg)
	if shown := fmt.Sprintf("%v %+v %#v %s %v", cfg, *cfg, *cfg, data, err); strings.Contains(shown, "ZZZ") || strings.Contains(shown, "PRIVATE KEY") {
		t.Error("a secret can be seen in the config")
	}
}

func TestPlansAreCompleteAndFreeze(t *testing.T) {
	cfg, _, _ := full(t)
	web := cfg.Plans["web"]
	l3 := web.Levels[2]
	if !l3.Destructive || l3.Loses != "data written since the snapshot" || l3.Approval.Votes != 2 || l3.Approval.OnExpiry != backout.ExpiryDeny {
		t.Errorf("L3 is %+v", l3)
	}
	if undo := web.Levels[0].Steps[0]; undo.OnOverdue != backout.OverdueStop || string(undo.With) != `{"argv":["dnf","history","undo","5"],"env":{"A":"1","B":"2"},"password":null}` {
		t.Errorf("the first step is %+v with %s", undo, undo.With)
	}
	small := cfg.Plans["defaults"]
	if small.Levels[0].EscalateAfter != defaultEscalateAfter || small.Verify.Every != defaultEvery || small.Verify.HoldFor != defaultHoldFor || small.Levels[0].Approval.Mode != backout.ApprovalNone {
		t.Errorf("the defaults are %+v", small)
	}
	again, problems := Load("backout.yaml", fakeKinds(t))
	if problems != nil {
		t.Fatal(problems)
	}
	for name, p := range cfg.Plans {
		if a, b := planhash.Freeze(p), planhash.Freeze(again.Plans[name]); a.Hash != b.Hash {
			t.Errorf("%s has the hashes %s and %s, loaded twice", name, a.Hash, b.Hash)
		}
	}
}

func TestGroupsComeFromTokensAndGroups(t *testing.T) {
	cfg, _, _ := full(t)
	if diff := cmp.Diff([]string{"alice", "bob"}, cfg.Members("sre")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"dba", "sre"}, cfg.GroupsOf("bob")); diff != "" {
		t.Error(diff)
	}
	if m := cfg.Members("nobody"); len(m) != 0 {
		t.Errorf("an unknown group has %v", m)
	}
}

// The way a step's secret takes: reference in the plan, value only when built.
func TestResolveSecretsBuildsAPlugIn(t *testing.T) {
	cfg, _, _ := full(t)
	var got string
	kind := executors.Define("x", "", func(_ context.Context, c commandSection) (backout.Executor, error) {
		got = c.Password.Reveal()
		return nil, nil
	})
	t.Chdir("/") // relative to the config file, not to where the server stands
	if _, err := kind.Build(t.Context(), json.RawMessage(`{"argv":["a"],"password":{"file":"secrets/alice"}}`), cfg.ResolveSecrets); err != nil {
		t.Fatal(err)
	}
	if got != "alice-ZZZ-token-1" {
		t.Errorf("the plug-in saw %d bytes", len(got))
	}
	if _, err := kind.Build(t.Context(), json.RawMessage(`{"argv":["a"],"password":null}`), cfg.ResolveSecrets); err != nil || got != "" {
		t.Errorf("no secret given: %v, %d bytes", err, len(got))
	}
	_, err := kind.Build(t.Context(), json.RawMessage(`{"argv":["a"],"password":{"file":"secrets/gone"}}`), cfg.ResolveSecrets)
	if err == nil || !strings.Contains(err.Error(), "password: read secret") {
		t.Errorf("a missing secret: %v", err)
	}
}

func TestWithoutKindsNothingIsKnown(t *testing.T) {
	dir := t.TempDir()
	text := "channels: {a: {type: chat}}\nplans: [p.yaml]\n"
	plan := "plans: [{name: p, verify: {checks: [{http: {}}]}, levels: [{steps: [{uses: command}]}]}]\n"
	for name, data := range map[string]string{"backout.yaml": text, "p.yaml": plan} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, problems := Load(filepath.Join(dir, "backout.yaml"), Kinds{})
	if cfg != nil || len(problems) != 3 {
		t.Errorf("%v", problems)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, strictyaml.MaxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "not a regular file", filepath.Join(dir, "fifo"): "not a regular file", large: "larger than 4 MiB"} {
		cfg, problems := Load(path, Kinds{})
		if cfg != nil || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: %v", path, problems)
		}
	}
}

func TestCheckListen(t *testing.T) {
	tokens := Auth{Tokens: []Token{{Name: "a"}}}
	intake := Intake{Tokens: []IntakeToken{{Name: "a"}}}
	cert := TLS{CertFile: "c", KeyFile: "k"}
	for _, tt := range []struct {
		s    Settings
		want string
	}{
		{Settings{Listen: "127.0.0.1:0"}, ""},
		{Settings{Listen: "[::1]:8420"}, ""},
		{Settings{Listen: "localhost:8420"}, ""},
		{Settings{Listen: "127.255.0.1:1"}, ""},
		{Settings{Listen: "10.0.0.1:1", Auth: tokens, Intake: intake, TLS: cert}, ""},
		{Settings{Listen: ":1", Auth: tokens, Intake: intake, TLS: cert}, ""},
		{Settings{Listen: ":1"}, "no tls.cert_file and tls.key_file, no auth.tokens, no intake.tokens"},
		{Settings{Listen: "0.0.0.0:1", Auth: tokens, Intake: intake}, "no tls"},
		{Settings{Listen: "[::]:1", TLS: cert, Intake: intake}, "no auth.tokens:"},
		{Settings{Listen: "host.example.org:1", TLS: cert, Auth: tokens}, "no intake.tokens:"},
		{Settings{Listen: "localhost.example.org:1"}, "other machines"},
		{Settings{Listen: "[::ffff:10.0.0.1]:1"}, "other machines"},
		{Settings{Listen: ":1", TLS: TLS{CertFile: "c"}, Auth: tokens, Intake: intake}, "no tls"},
		{Settings{Listen: "127.0.0.1:1", ExternalURL: "https://backout.example.org"}, "external_url names backout.example.org, so others reach this server through it, and there is no auth.tokens, no intake.tokens"},
		{Settings{Listen: "127.0.0.1:1", ExternalURL: "http://10.0.0.1:80", Auth: tokens}, "no intake.tokens:"},
		{Settings{Listen: "127.0.0.1:1", ExternalURL: "http://10.0.0.1:80", Intake: intake}, "no auth.tokens:"},
		{Settings{Listen: "127.0.0.1:1", ExternalURL: "https://u:hunter2@localhost.example.org", Auth: tokens}, "names localhost.example.org,"},
		{Settings{Listen: "127.0.0.1:1", ExternalURL: "https://backout.example.org", Auth: tokens, Intake: intake}, ""},
		{Settings{Listen: "127.0.0.1:1", ExternalURL: "https://localhost:8443"}, ""},
		{Settings{Listen: "127.0.0.1:1", ExternalURL: "http://[::1]:1"}, ""},
		{Settings{Listen: ""}, "want host:port"},
		{Settings{Listen: "127.0.0.1:70000"}, "not a port"},
	} {
		err := tt.s.CheckListen()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.s.Listen, err, tt.want)
		}
	}
}

// TestOfflineReadsNoSecret: whoever writes rules needs none of the server's
// secrets, and hears of what is written wrongly all the same.
func TestOfflineReadsNoSecret(t *testing.T) {
	dir := t.TempDir()
	load := func(text string) (*Config, backout.Problems) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "backout.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		kinds := fakeKinds(t)
		kinds.Offline = true
		return Load(filepath.Join(dir, "backout.yaml"), kinds)
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	text := "tls: {cert_file: cert.pem, key_file: gone.pem}\nauth: {tokens: [{name: a, token: {file: gone}}], roles: [{role: admin, users: [a], where: everywhere}]}\nintake: {tokens: [{name: b, token: {credential: am}}]}\n" +
		"channels: {c: {type: chat, channel: x, token: {env: BACKOUT_TEST_GONE}}}\n"
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	cfg, problems := load(text)
	if cfg == nil || len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].What, `"am" cannot be looked at here: no systemd credentials in this environment`) {
		t.Errorf("without credentials: %v", problems)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	cfg, problems = load(text)
	if cfg == nil || problems != nil {
		t.Fatalf("with credentials: %v", problems)
	}
	if s := cfg.Auth.Tokens[0].Token; s.Reveal() != "" || s.Ref().File != "gone" {
		t.Errorf("the token is at %v", s.Ref())
	}
	if cfg, problems = load("auth: {tokens: [{name: a, token: {file: a, env: b}}]}"); cfg != nil || !strings.Contains(problems.Error(), "one of them") {
		t.Errorf("a malformed reference: %v", problems)
	}
}

func TestSizesAndShares(t *testing.T) {
	for text, want := range map[string]Size{"0B": 0, "512B": 512, "4KiB": 4096, "4 MiB": 4 << 20, "1GiB": 1 << 30, "3TiB": 3 << 40} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
		if shown := want.String(); shown != strings.ReplaceAll(text, " ", "") {
			t.Errorf("%s is shown as %s", text, shown)
		}
	}
	for _, text := range []string{"", "4", "MiB", "-1MiB", "4MB", "4mib", "1.5GiB", "9999999999TiB", "4 4MiB", "0x4MiB"} {
		if got := new(Size); got.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken for %s", text, got)
		}
	}
	for _, text := range []string{"", "%", "0%", "101%", "-1%", "20", "0.2", "20%%", "2 0%"} {
		if got := new(Percent); got.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken for %d", text, *got)
		}
	}
}
