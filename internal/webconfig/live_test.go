package webconfig

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/backout-io/backout"
)

// rewrite changes a file so that it looks different, whatever the clock's grain.
func rewrite(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestReadAgainWhenChanged: a user that is taken out, a certificate that is renewed and
// a CA that is replaced count within a second; a file that is wrong changes nothing and
// is told once; what vet refuses changes nothing.
func TestReadAgainWhenChanged(t *testing.T) {
	dir, ca := files(t)
	path := filepath.Join(dir, "web.yml")
	const clients = serve + "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n"
	users := clients + "basic_auth_users: {am: " + hash(t, "right", bcrypt.MinCost) + "}\n"
	write(t, path, users)
	first, problems := Load(path)
	if first == nil {
		t.Fatal(problems)
	}
	cert, _, _ := ca.sign(x509.Certificate{DNSNames: []string{"am-1"}})
	other := newAuthority(t, "new")
	_, newCert, newKey := other.sign(x509.Certificate{DNSNames: []string{"backout"}})
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		vet := func(f *File) error {
			if !f.TLS() {
				return errors.New("TLS is gone")
			}
			return nil
		}
		l := NewLive(path, first, vet, slog.New(slog.NewTextHandler(&log, nil)))
		may := func() bool {
			ok, err := l.Password(t.Context(), "am", "right")
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		if !may() {
			t.Fatal("the right password is refused")
		}
		rewrite(t, path, clients)
		if !may() {
			t.Error("looked again at once: every request would")
		}
		time.Sleep(lookEvery)
		if may() {
			t.Error("a user that was taken out is let in")
		}
		rewrite(t, path, "tls_server_config: {cert: 1\n")
		time.Sleep(lookEvery)
		for range 3 {
			l.File()
			time.Sleep(lookEvery)
		}
		if n := strings.Count(log.String(), "not read again"); n != 1 || !l.File().TLS() {
			t.Errorf("a wrong file was told %d times: %s", n, log.String())
		}
		rewrite(t, path, users+"\n# "+strings.Repeat("x", 10))
		time.Sleep(lookEvery)
		if !may() {
			t.Error("a file that is right again is not read")
		}
		rewrite(t, path, "basic_auth_users: {}\n")
		time.Sleep(lookEvery)
		if !may() || !strings.Contains(log.String(), "TLS is gone") {
			t.Errorf("what vet refuses counts: %s", log.String())
		}
		rewrite(t, path, users)
		time.Sleep(lookEvery)
		if name, ok := l.Certificate([]*x509.Certificate{cert}); !ok || name != "am-1" {
			t.Errorf("the certificate names %q", name)
		}
		rewrite(t, filepath.Join(dir, "ca.crt"), other.pem)
		rewrite(t, filepath.Join(dir, "server.crt"), newCert)
		rewrite(t, filepath.Join(dir, "server.key"), newKey)
		time.Sleep(lookEvery)
		if _, ok := l.Certificate([]*x509.Certificate{cert}); ok {
			t.Error("a certificate of a CA that was replaced names a sender")
		}
		cfg, err := l.ServerTLS().GetConfigForClient(nil)
		if err != nil || cfg.Certificates[0].Leaf.DNSNames[0] != "backout" {
			t.Errorf("the renewed certificate is not served: %v", err)
		}
		if strings.Contains(log.String(), "$2a$") {
			t.Error("the log shows a hash")
		}
	})
}

func live(t *testing.T, users map[string]string) *Live {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web.yml")
	var text strings.Builder
	text.WriteString("basic_auth_users:\n")
	for name, h := range users {
		text.WriteString("  " + name + ": " + h + "\n")
	}
	write(t, path, text.String())
	f, problems := Load(path)
	if f == nil {
		t.Fatal(problems)
	}
	return NewLive(path, f, nil, nil)
}

func TestPasswords(t *testing.T) {
	l := live(t, map[string]string{"am": hash(t, "right", bcrypt.MinCost), "prom": hash(t, "other", bcrypt.MinCost)})
	for _, tc := range []struct {
		name, password string
		want           bool
	}{
		{"am", "right", true},
		{"am", "right", true}, // remembered
		{"am", "other", false},
		{"am", "", false},
		{"am", "right\x00", false},
		{"prom", "right", false},
		{"nobody", "right", false},
		{"nobody", "other", false},
		{"", "right", false},
	} {
		if ok, err := l.Password(t.Context(), tc.name, tc.password); ok != tc.want || err != nil {
			t.Errorf("%q %q: %v %v", tc.name, tc.password, ok, err)
		}
	}
	if len(l.passwords.right) != 1 {
		t.Errorf("%d are remembered, want only what was right", len(l.passwords.right))
	}
	for _, sum := range l.passwords.right {
		if strings.Contains(string(sum[:]), "right") {
			t.Error("a password is remembered as it is")
		}
	}
}

// TestWrongPasswordsAndUnknownUsersAreComputed: who asks cannot tell by the time
// whether a user exists: a wrong password of either is computed, every time.
func TestWrongPasswordsAndUnknownUsersAreComputed(t *testing.T) {
	l := live(t, map[string]string{"am": hash(t, "right", bcrypt.MinCost)})
	if ok, err := l.Password(t.Context(), "am", "right"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	l.passwords.slot <- struct{}{} // held: whoever computes must wait
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, computes := range map[string]bool{"am right": false, "am wrong": true, "nobody right": true, "nobody wrong": true} {
		user, password, _ := strings.Cut(name, " ")
		if _, err := l.Password(gone, user, password); errors.Is(err, backout.ErrUnavailable) != computes {
			t.Errorf("%s: %v, computes %v", name, err, !computes)
		}
	}
	// With hashes of different costs each unknown name is compared with one of them.
	picked := map[int]bool{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"} {
		if first := l.passwords.pick(name, 2); first != l.passwords.pick(name, 2) {
			t.Errorf("%s is compared with one hash now and another then", name)
		} else {
			picked[first] = true
		}
	}
	if len(picked) != 2 {
		t.Error("unknown names are all compared with one hash")
	}
}

func TestTooManyPasswordsWaiting(t *testing.T) {
	l := live(t, map[string]string{"am": hash(t, "right", bcrypt.MinCost)})
	synctest.Test(t, func(t *testing.T) {
		l.passwords.slot = make(chan struct{}, 1)
		l.passwords.slot <- struct{}{}
		answers := make(chan error, maxQueue)
		for range maxQueue {
			go func() {
				_, err := l.Password(context.Background(), "am", "wrong")
				answers <- err
			}()
		}
		synctest.Wait()
		if _, err := l.Password(context.Background(), "am", "wrong"); !errors.Is(err, backout.ErrUnavailable) {
			t.Errorf("one more: %v", err)
		}
		<-l.passwords.slot
		for range maxQueue {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
	})
}
