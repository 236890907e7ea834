package e2e

import (
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier/webhook"
)

// inbox is where notices arrive, in the order they came.
type inbox struct {
	mu    sync.Mutex
	got   []string
	wrong []string
}

func (b *inbox) add(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, fmt.Sprintf(format, args...))
}

func (b *inbox) complain(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

func (b *inbox) all() (got, wrong []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...), append([]string(nil), b.wrong...)
}

// has tells whether something that arrived holds all the words.
func (b *inbox) has(words ...string) bool {
	got, _ := b.all()
	for _, g := range got {
		found := true
		for _, w := range words {
			found = found && strings.Contains(g, w)
		}
		if found {
			return true
		}
	}
	return false
}

// hook is a receiver of signed webhooks. What is not signed as it should be is a
// complaint.
func hook(t testing.TB) (url string, box *inbox) {
	t.Helper()
	box = &inbox{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		want := webhook.Sign(backout.SecretValue(hookSecret), r.Header.Get("X-Backout-Timestamp"), body)
		if err != nil || !hmac.Equal([]byte(want), []byte(r.Header.Get("X-Backout-Signature"))) {
			box.complain("signature %q does not fit, %v", r.Header.Get("X-Backout-Signature"), err)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		var m webhook.Body
		if err := json.Unmarshal(body, &m); err != nil {
			box.complain("body: %v", err)
		}
		box.add("%s%s %s to %s: %s", r.Header.Get("Idempotency-Key"), r.Header.Get("X-Channel"), m.Notice.Moment, m.Notice.Audience, m.Subject)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, box
}

// slack is a stand-in for Slack's Web API: chat.postMessage only.
func slack(t testing.TB) (url string, box *inbox) {
	t.Helper()
	box = &inbox{}
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if r.URL.Path != "/api/chat.postMessage" {
			box.complain("%s was called", r.URL.Path)
		}
		if token := r.Header.Get("Authorization") + r.PostForm.Get("token"); !strings.Contains(token, slackToken) {
			box.complain("the token is missing")
		}
		box.add("thread=%s %s", r.PostForm.Get("thread_ts"), r.PostForm.Get("text"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"ok":true,"channel":%q,"ts":"1700000000.%06d"}`, r.PostForm.Get("channel"), n.Add(1))
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/api/", box
}

// mailbox runs the SMTP server that comes with Postfix for tests, and returns its
// address and the folder that it puts mails into.
func mailbox(t testing.TB) (addr, dir string) {
	t.Helper()
	program := part(t, "smtp-sink", "postfix")
	// Not t.TempDir: it gives up root and must be able to write there.
	dir, err := os.MkdirTemp("", "backout-e2e-mail-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	addr = freePort(t)
	args := []string{"-d", "mail."}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(program, append(args, addr, "16")...)
	cmd.Dir = dir
	start(t, cmd)
	eventually(t, 20*time.Second, "the mail server listens", func() error {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return addr, dir
}

// mails returns every mail in the folder.
func mails(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "mail.*"))
	var out []string
	for _, f := range files {
		out = append(out, strings.ReplaceAll(read(f), "\r\n", "\n"))
	}
	return out
}
