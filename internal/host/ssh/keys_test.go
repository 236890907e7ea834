package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	xssh "golang.org/x/crypto/ssh"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/host/ssh"
)

// keyPair is a new key in PEM and its public half as known_hosts has it.
func keyPair(t *testing.T, passphrase string) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := xssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = xssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := xssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(xssh.MarshalAuthorizedKey(line)))
}

func TestCheckKey(t *testing.T) {
	good, public := keyPair(t, "")
	locked, _ := keyPair(t, "hunter2")
	for text, want := range map[string]string{good: "", locked: "passphrase", public: "not a private key", "": "not a private key", "hunter2": "not a private key"} {
		err := ssh.CheckKey(backout.SecretValue(text))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestCheckKnownHosts(t *testing.T) {
	_, key := keyPair(t, "")
	for text, want := range map[string]string{
		"": "", "# nothing\n": "", "web1 " + key + "\n": "", "@cert-authority * " + key + "\n": "",
		"web1 " + key + "\nweb2 ssh-ed25519 AAAA\n": ":2:", "web1\n": ":1:",
	} {
		file := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := ssh.CheckKnownHosts(file)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), file+want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := ssh.CheckKnownHosts(filepath.Join(t.TempDir(), "gone")); err == nil || !strings.Contains(err.Error(), "ssh.known_hosts") {
		t.Errorf("no file: %v", err)
	}
}

// TestHostCertificatesAreRefusedPlainly: no connection is needed to know it.
func TestHostCertificatesAreRefusedPlainly(t *testing.T) {
	private, key := keyPair(t, "")
	file := filepath.Join(t.TempDir(), "known_hosts")
	n := network(t, ssh.Options{User: "u", Key: backout.SecretValue(private), KnownHosts: file})
	for text, refused := range map[string]bool{
		"# ours\n@cert-authority *.invalid,127.0.0.1 " + key + "\n":       true,
		"[127.0.0.1]:1 " + key + "\n@cert-authority [127.0.0.1]:1 " + key: false,
	} {
		text = strings.ReplaceAll(text, ",127.0.0.1 ", ",[127.0.0.1]:1 ")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := n.Host("127.0.0.1:1")
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.BootID(t.Context())
		said := err != nil && strings.Contains(err.Error(), file+":2 has 127.0.0.1:1 under @cert-authority, and host certificates are not supported: run") && backout.IsPermanent(err)
		if said != refused {
			t.Errorf("%q: %v", text, err)
		}
	}
}
