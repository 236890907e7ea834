package email

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
	"github.com/backout-io/backout/notifier/notifiertest"
)

func config(o *office) Config {
	return Config{
		SMTP: o.addr, From: "backout <backout@example.com>", To: []string{"Operations <ops@example.com>", "boss@example.com"},
		Username: "backout", Password: backout.SecretValue(notifiertest.SecretText), CAFile: o.caFile, Helo: "server.example.com",
	}
}

func newNotifier(t *testing.T, c Config) *Notifier {
	t.Helper()
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func message(moment backout.Moment, thread *backout.Receipt) backout.Message {
	m, _ := notifier.Default().Render(Kind().Style(), notifier.Samples(moment)[0], thread)
	return m
}

func TestConformance(t *testing.T) {
	notifiertest.Run(t, notifiertest.Subject{
		Kind:         Kind(),
		NoRetryAfter: true,
		New: func(t *testing.T) (backout.Notifier, notifiertest.Peer) {
			o := newOffice(t)
			return newNotifier(t, config(o)), o
		},
	})
}

func TestMailIsEncryptedSignedInAndComplete(t *testing.T) {
	o := newOffice(t)
	m := message(backout.MomentEscalated, &backout.Receipt{Ref: "<backout.0123456789abcdef0123456789abcdef@example.com>"})
	receipt, err := newNotifier(t, config(o)).Notify(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	got := o.take()[0]
	if !got.tls || got.user != "backout" || got.from != "backout@example.com" {
		t.Errorf("encrypted %v, user %q, from %q", got.tls, got.user, got.from)
	}
	if d := cmp.Diff([]string{"ops@example.com", "boss@example.com"}, got.to); d != "" {
		t.Errorf("recipients (-want +got):\n%s", d)
	}
	mail, err := mail.ReadMessage(bytes.NewReader(got.data))
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"Message-ID": receipt.Ref, "References": "<backout.0123456789abcdef0123456789abcdef@example.com>", "In-Reply-To": "<backout.0123456789abcdef0123456789abcdef@example.com>",
		"Auto-Submitted": "auto-generated", "X-Backout-Moment": "escalated",
	} {
		if v := mail.Header.Get(header); v != want {
			t.Errorf("%s is %q, want %q", header, v, want)
		}
	}
	if _, err := mail.Header.Date(); err != nil {
		t.Errorf("date: %v", err)
	}
	d, err := read(got)
	if err != nil || d.Subject != m.Subject || strings.TrimSpace(d.Text) != m.Text {
		t.Errorf("%v: subject %q, text:\n%s\nwant %q and:\n%s", err, d.Subject, d.Text, m.Subject, m.Text)
	}
}

func TestSubjectCannotBecomeHeaders(t *testing.T) {
	o := newOffice(t)
	n := newNotifier(t, config(o))
	for _, hostile := range notifiertest.Hostile() {
		m := message(backout.MomentHeld, &backout.Receipt{Ref: hostile})
		m.Subject, m.Text, m.Notice.Moment = hostile, hostile, backout.Moment(hostile)
		if _, err := n.Notify(t.Context(), m); err != nil {
			t.Fatalf("%.40q: %v", hostile, err)
		}
		got := o.take()[0]
		if d := cmp.Diff([]string{"ops@example.com", "boss@example.com"}, got.to); d != "" {
			t.Errorf("%.40q: recipients (-want +got):\n%s", hostile, d)
		}
		if d, err := read(got); err != nil || strings.ContainsAny(d.Subject, "\r\n") {
			t.Errorf("%.40q: %v: subject %q", hostile, err, d.Subject)
		}
		header, err := mail.ReadMessage(bytes.NewReader(got.data))
		if err != nil {
			t.Fatalf("%.40q: %v", hostile, err)
		}
		for name, values := range header.Header {
			known := []string{
				"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Content-Transfer-Encoding",
				"Auto-Submitted", "X-Backout-Moment",
			}
			if len(values) != 1 || !slices.Contains(known, name) {
				t.Errorf("%.40q: header %s: %q", hostile, name, values)
			}
		}
	}
}

// wantPartly wants that some addresses have the mail, and what is said of the others.
func wantPartly(t *testing.T, err error, permanent bool, says ...string) {
	t.Helper()
	var partly *backout.PartlyError
	if !errors.As(err, &partly) || partly.Receipt.Ref == "" || backout.IsPermanent(err) != permanent {
		t.Fatalf("error %v, permanent %t: want that some addresses have the mail, permanent %t", err, backout.IsPermanent(err), permanent)
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in the error: %v", part, err)
		}
	}
}

func TestOneBadAddressDoesNotKeepTheOthersFromTheMail(t *testing.T) {
	o := newOffice(t)
	o.onRcpt["boss@example.com"] = &smtp.SMTPError{Code: 550, Message: "no such user"}
	_, err := newNotifier(t, config(o)).Notify(t.Context(), message(backout.MomentHeld, nil))
	wantPartly(t, err, true, "boss@example.com", "1 of 2 addresses have the mail")
	if got := o.take(); len(got) != 1 || !slices.Equal(got[0].to, []string{"ops@example.com"}) {
		t.Errorf("delivered %+v", got)
	}
}

func TestOnlyBadAddressesAreNoDelivery(t *testing.T) {
	o := newOffice(t)
	for _, to := range []string{"ops@example.com", "boss@example.com"} {
		o.onRcpt[to] = &smtp.SMTPError{Code: 550, Message: "no such user"}
	}
	_, err := newNotifier(t, config(o)).Notify(t.Context(), message(backout.MomentHeld, nil))
	var partly *backout.PartlyError
	if !backout.IsPermanent(err) || errors.As(err, &partly) || len(o.take()) > 0 {
		t.Errorf("error %v", err)
	}
}

// TestAddressThatMustWaitGetsTheMailOnceLater: whatever else is sent in between, such as
// a test.
func TestAddressThatMustWaitGetsTheMailOnceLater(t *testing.T) {
	o := newOffice(t)
	n := newNotifier(t, config(o))
	o.onRcpt["boss@example.com"] = &smtp.SMTPError{Code: 450, Message: "greylisted"}
	m := message(backout.MomentHeld, nil)
	_, err := n.Notify(t.Context(), m)
	wantPartly(t, err, false, "boss@example.com", "1 of 2 addresses have the mail")
	test := message(backout.MomentTest, nil)
	test.Notice.ID = "test.1.mail"
	_, err = n.Notify(t.Context(), test)
	wantPartly(t, err, false)
	o.with(func(o *office) { o.onMail = &smtp.SMTPError{Code: 421, Message: "busy"} })
	if _, err = n.Notify(t.Context(), m); err == nil || !strings.Contains(err.Error(), "421") {
		t.Errorf("error %v", err)
	}
	o.with(func(o *office) { o.onMail = nil; clear(o.onRcpt) })
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := o.take()
	if len(got) != 3 || !slices.Equal(got[0].to, []string{"ops@example.com"}) || !slices.Equal(got[2].to, []string{"boss@example.com"}) {
		t.Errorf("delivered %+v; want ops first, then the test, and then only boss", got)
	}
}

// TestWhoHasBegunMailsIsBounded: of what is never tried again too.
func TestWhoHasBegunMailsIsBounded(t *testing.T) {
	var b begun
	for i := range 3 * begunMost {
		b.of(strconv.Itoa(i))["ops@example.com"] = true
	}
	if last := strconv.Itoa(3*begunMost - 1); len(b) != begunMost || !b.of(last)["ops@example.com"] {
		t.Errorf("%d are remembered", len(b))
	}
	if len(b.of("")) > 0 || len(b) != begunMost {
		t.Error("a notice without an id is remembered")
	}
}

func TestRedeliveryAfterSuccessReachesEverybody(t *testing.T) {
	o := newOffice(t)
	n := newNotifier(t, config(o))
	m := message(backout.MomentHeld, nil)
	for range 2 {
		if _, err := n.Notify(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.take(); len(got) != 2 || len(got[1].to) != 2 {
		t.Errorf("delivered %+v, want both mails to both", got)
	}
}

func TestErrorsAreSorted(t *testing.T) {
	refuse := func(code int) error {
		return &smtp.SMTPError{Code: code, Message: "said " + notifiertest.SecretText}
	}
	for _, c := range []struct {
		name      string
		set       func(*office)
		permanent bool
		says      string
	}{
		{"login 535", func(o *office) { o.onAuth = refuse(535) }, true, "check username and password"},
		{"login 454", func(o *office) { o.onAuth = refuse(454) }, false, "454"},
		{"sender 550", func(o *office) { o.onMail = refuse(550) }, true, "550"},
		{"sender 451", func(o *office) { o.onMail = refuse(451) }, false, "451"},
		{"data 552", func(o *office) { o.onData = refuse(552) }, true, "552"},
		{"data 452", func(o *office) { o.onData = refuse(452) }, false, "452"},
	} {
		o := newOffice(t)
		o.with(c.set)
		_, err := newNotifier(t, config(o)).Notify(t.Context(), message(backout.MomentHeld, nil))
		if err == nil || backout.IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, permanent %v", c.name, err, backout.IsPermanent(err))
		}
		if err != nil && strings.Contains(err.Error(), notifiertest.SecretText) {
			t.Errorf("%s: the error shows the password: %v", c.name, err)
		}
	}
}

func TestSTARTTLS(t *testing.T) {
	implicit := func(s *smtp.Server) { s.Domain = "implicit.test" }
	for _, c := range []struct {
		name     string
		server   []option
		starttls StartTLS
		ca       bool
		login    bool
		sent     bool
		tls      bool
	}{
		{"required and offered", nil, "", true, true, true, true},
		{"required and not offered", []option{plainOnly}, Required, true, false, false, false},
		{"required and not trusted", nil, Required, false, false, false, false},
		{"opportunistic and offered", nil, Opportunistic, true, false, true, true},
		{"opportunistic and not offered", []option{plainOnly}, Opportunistic, true, false, true, false},
		{"none", nil, None, true, false, true, false},
		{"implicit", []option{implicit}, Implicit, true, true, true, true},
		{"implicit and not trusted", []option{implicit}, Implicit, false, true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t, c.server...)
			config := config(o)
			config.StartTLS = c.starttls
			if !c.ca {
				config.CAFile = ""
			}
			if !c.login {
				config.Username, config.Password = "", backout.Secret{}
			}
			_, err := newNotifier(t, config).Notify(t.Context(), message(backout.MomentHeld, nil))
			if (err == nil) != c.sent || backout.IsPermanent(err) {
				t.Fatalf("error %v, want sent %v", err, c.sent)
			}
			got := o.take()
			if c.sent && (len(got) != 1 || got[0].tls != c.tls) || !c.sent && len(got) > 0 {
				t.Errorf("the server has %+v, want encrypted %v", got, c.tls)
			}
		})
	}
}

func TestServerThatSaysNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o := newOffice(t)
	c := config(o)
	c.SMTP = listener.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = newNotifier(t, c).Notify(ctx, message(backout.MomentHeld, nil))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{SMTP: "mail.example:587", From: "a@example.com", To: []string{"b@example.com"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	secret := backout.NewSecret(backout.SecretRef{Env: "P"})
	for _, c := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"no server", func(c *Config) { c.SMTP = "" }, "host:port"},
		{"no port", func(c *Config) { c.SMTP = "mail.example" }, "host:port"},
		{"bad port", func(c *Config) { c.SMTP = "mail.example:smtp" }, "host:port"},
		{"no sender", func(c *Config) { c.From = "" }, "from"},
		{"nobody", func(c *Config) { c.To = nil }, "tell nobody"},
		{"bad address", func(c *Config) { c.To = []string{"a@example.com", "x\r\nBcc: y@example.com"} }, "to[1]"},
		{"unknown mode", func(c *Config) { c.StartTLS = "always" }, "opportunistic"},
		{"user without password", func(c *Config) { c.Username = "u" }, "go together"},
		{"password in clear", func(c *Config) { c.Username, c.Password, c.StartTLS = "u", secret, None }, "in clear"},
		{"bad helo", func(c *Config) { c.Helo = "a\r\nMAIL FROM:<x>" }, "host name"},
		{"empty password", func(c *Config) { c.Username, c.Password = "u", secret }, "password is empty"},
		{"no such file", func(c *Config) { c.CAFile = "/does/not/exist" }, "ca_file"},
	} {
		config := good
		c.change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
}

func TestSectionWithoutLoginIsReadAndBuilt(t *testing.T) {
	section, err := Kind().Decode(func(into any) error {
		return json.Unmarshal([]byte(`{"smtp": "mail.example:25", "from": "a@example.com", "to": ["b@example.com"], "starttls": "none"}`), into)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Kind().Build(t.Context(), section, nil); err != nil {
		t.Error(err)
	}
}
