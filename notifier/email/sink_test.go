package email

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestPostfixTakesTheMail delivers to the SMTP server that comes with Postfix
// for such tests.
func TestPostfixTakesTheMail(t *testing.T) {
	sink, err := exec.LookPath("smtp-sink")
	if err != nil {
		if os.Getenv("BACKOUT_E2E") == "require" {
			t.Fatal("smtp-sink is missing: apt-get install postfix")
		}
		t.Skip("smtp-sink is missing: apt-get install postfix")
	}
	addr, box := startSink(t, sink)
	n := newNotifier(t, Config{SMTP: addr, From: "backout@example.com", To: []string{"ops@example.com"}, StartTLS: None})
	m := message(backout.MomentEscalated, nil)
	m.Text += "\n.\n..\nFrom the end"
	receipt, err := n.Notify(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	mail := readBox(t, box)
	for _, want := range []string{"Message-ID: " + receipt.Ref, "Auto-Submitted: auto-generated", "To: <ops@example.com>", "\nFrom the end", "\n.\n..\n"} {
		if !strings.Contains(mail, want) {
			t.Errorf("%q is not in the mail:\n%s", want, mail)
		}
	}
}

// startSink runs smtp-sink on a free port until the test ends.
func startSink(t *testing.T, sink string) (addr, box string) {
	t.Helper()
	// Not t.TempDir: smtp-sink gives up root and must be able to write there.
	box, err := os.MkdirTemp("", "smtp-sink-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(box) })
	if err := os.Chmod(box, 0o777); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = free.Addr().String()
	_ = free.Close()
	args := []string{"-d", "mail."}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(sink, append(args, addr, "16")...)
	cmd.Dir = box
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("smtp-sink said: %s", said.String())
		}
	})
	within(t, "smtp-sink listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return addr, box
}

func readBox(t *testing.T, box string) string {
	t.Helper()
	var mail string
	within(t, "the mail is on disk", func() bool {
		files, _ := filepath.Glob(filepath.Join(box, "mail.*"))
		for _, f := range files {
			if data, err := os.ReadFile(f); err == nil && strings.Contains(string(data), "From the end") {
				mail = strings.ReplaceAll(string(data), "\r\n", "\n")
				return true
			}
		}
		return false
	})
	return mail
}

// within polls what another process does.
func within(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
