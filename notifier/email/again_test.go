package email

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/backout-io/backout"
)

// TestWhoHasTheMailOfARefusedOneKeepsIt: what became of it may not have been written down,
// and it is handed over again.
func TestWhoHasTheMailOfARefusedOneKeepsIt(t *testing.T) {
	o := newOffice(t)
	o.onRcpt["boss@example.com"] = &smtp.SMTPError{Code: 550, Message: "no such user"}
	n := newNotifier(t, config(o))
	for range 3 {
		_, err := n.Notify(t.Context(), message(backout.MomentHeld, nil))
		wantPartly(t, err, true, "boss@example.com", "1 of 2 addresses have the mail")
	}
	if got := o.take(); len(got) != 1 {
		t.Errorf("ops has the mail %d times", len(got))
	}
}

// TestATryThatReachesNobodyIsNoDelivery: some have the mail by a try before, and this one
// has not even been answered for the others.
func TestATryThatReachesNobodyIsNoDelivery(t *testing.T) {
	o := newOffice(t)
	o.onRcpt["boss@example.com"] = &smtp.SMTPError{Code: 450, Message: "greylisted"}
	n := newNotifier(t, config(o))
	m := message(backout.MomentHeld, nil)
	_, err := n.Notify(t.Context(), m)
	wantPartly(t, err, false)
	for _, c := range []struct {
		set  func(*office)
		says string
	}{
		{func(o *office) { o.onAuth = &smtp.SMTPError{Code: 535, Message: "no"} }, "check username and password"},
		{func(o *office) { o.onMail = &smtp.SMTPError{Code: 421, Message: "busy"} }, "421"},
		{func(o *office) { clear(o.onRcpt); o.onData = &smtp.SMTPError{Code: 451, Message: "later"} }, "451"},
	} {
		o.with(func(o *office) { o.onAuth, o.onMail = nil, nil; c.set(o) })
		_, err := n.Notify(t.Context(), m)
		if partly := (*backout.PartlyError)(nil); err == nil || errors.As(err, &partly) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, partly %t", c.says, err, partly != nil)
		}
	}
	o.with(func(o *office) { o.onData = nil })
	if _, err := n.Notify(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := o.take(); len(got) != 2 || len(got[1].to) != 1 {
		t.Errorf("delivered %+v, want the mail to each once", got)
	}
}

// relay is a mail server that refuses boss@ and never answers QUIT.
type relay struct {
	mu    sync.Mutex
	mails int
}

func (r *relay) serve(conn net.Conn) {
	defer conn.Close()
	say := func(line string) { _, _ = fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.test")
	for in := bufio.NewScanner(conn); in.Scan(); {
		switch line := in.Text(); {
		case strings.HasPrefix(line, "RCPT TO:<boss@"):
			say("550 no such user")
		case line == "DATA":
			say("354 go on")
			for in.Scan() && in.Text() != "." {
			}
			r.mu.Lock()
			r.mails++
			r.mu.Unlock()
			say("250 taken")
		case line == "QUIT":
		default:
			say("250 yes")
		}
	}
}

// TestARelayThatNeverSaysGoodbyeSendsNothingTwice: what was answered is known by then.
func TestARelayThatNeverSaysGoodbyeSendsNothingTwice(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	r := &relay{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	n := newNotifier(t, Config{SMTP: listener.Addr().String(), From: "b@example.com", To: []string{"ops@example.com", "boss@example.com"}, StartTLS: None})
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := n.Notify(ctx, message(backout.MomentHeld, nil))
		if ctx.Err() != nil {
			t.Error("it waits for the goodbye")
		}
		cancel()
		wantPartly(t, err, true, "550")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mails != 1 {
		t.Errorf("ops has the mail %d times", r.mails)
	}
}
