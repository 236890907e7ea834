package outbox_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier/email"
)

// office is a mail server that answers left@example.com with what it is told to.
type office struct {
	addr string

	mu     sync.Mutex
	answer string
	// got are the subjects that each recipient has.
	got map[string][]string
}

func newOffice(t *testing.T, answer string) *office {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	o := &office{addr: listener.Addr().String(), answer: answer, got: map[string][]string{}}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go o.serve(conn)
		}
	}()
	return o
}

func (o *office) serve(conn net.Conn) {
	defer conn.Close()
	say := func(line string) { _, _ = fmt.Fprintf(conn, "%s\r\n", line) }
	say("220 mail.test")
	var to []string
	for in := bufio.NewScanner(conn); in.Scan(); {
		switch line := in.Text(); {
		case strings.HasPrefix(line, "RCPT TO:<left@") && o.odd() != "":
			say(o.odd())
		case strings.HasPrefix(line, "RCPT TO:"):
			to = append(to, strings.Trim(line[len("RCPT TO:"):], "<>"))
			say("250 yes")
		case line == "DATA":
			say("354 go on")
			o.take(to, in)
			say("250 taken")
		default:
			say("250 yes")
		}
	}
}

func (o *office) take(to []string, in *bufio.Scanner) {
	subject := ""
	for in.Scan() && in.Text() != "." {
		if name, value, _ := strings.Cut(in.Text(), ": "); name == "Subject" {
			subject = value
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range to {
		o.got[r] = append(o.got[r], subject)
	}
}

// odd is the answer to the odd one out; empty when there is none.
func (o *office) odd() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answer
}

func (o *office) has(who string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.got[who])
}

// byMail tells the story of a channel with two addresses, of which the server answers the
// second with what it is told to.
func byMail(t *testing.T, answer string, story func(*testing.T, *bench, *office)) {
	t.Helper()
	o := newOffice(t, answer)
	synctest.Test(t, func(t *testing.T) {
		bus := bustest.Start(t)
		s, err := store.Open(t.Context(), store.Options{JS: bus.JetStream(), Server: "test"})
		if err != nil {
			t.Fatal(err)
		}
		b := open(s)
		t.Cleanup(func() { _ = s.Close() })
		t.Cleanup(b.Close)
		n, err := email.New(email.Config{SMTP: o.addr, From: "b@example.com", To: []string{"ann@example.com", "left@example.com"}, StartTLS: email.None})
		if err != nil {
			t.Fatal(err)
		}
		b.update(t, map[string]backout.Notifier{"mail": n}, map[string][]string{"ops": {"mail"}})
		story(t, b, o)
	})
}

// TestOneRefusedMailboxStopsNoClock: the other person has the question, and has it once.
func TestOneRefusedMailboxStopsNoClock(t *testing.T) {
	byMail(t, "550 no such user", func(t *testing.T, b *bench, o *office) {
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, time.Hour, true, "")
		if got := o.has("ann@example.com"); len(got) != 1 {
			t.Errorf("ann has the question %d times", len(got))
		}
		list, err := b.List(t.Context())
		if err != nil || len(list.Waiting) != 0 || len(list.GivenUp) != 0 {
			t.Errorf("undelivered: %+v %v", list, err)
		}
		all, err := b.Standing(t.Context(), time.Now().Add(-24*time.Hour))
		if s := all["mail"]; err != nil || s.Failing() || s.Why != "" || !strings.Contains(s.Missed, "left@example.com") || !strings.Contains(s.Missed, "550") {
			t.Errorf("the channel stands as %+v %v, want who has not got it", s, err)
		}
	})
}

// TestOneFullMailboxDelaysNobodyForLong: what comes behind goes out within seconds, and
// the clock of the first question never stops.
func TestOneFullMailboxDelaysNobodyForLong(t *testing.T) {
	byMail(t, "452 mailbox full", func(t *testing.T, b *bench, o *office) {
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, 0, true, "")
		b.send(t, "ops", "n2", "n3")
		time.Sleep(time.Minute)
		looks(t, b.Outbox, q, time.Minute, true, "")
		got := o.has("ann@example.com")
		if len(got) != 3 || !strings.Contains(got[0], "L1") || strings.Contains(got[1], "L1") {
			t.Errorf("ann has %q, want each notice once and in order", got)
		}
		if all, err := b.Standing(t.Context(), time.Now()); err != nil || all["mail"].Why != "" || !strings.Contains(all["mail"].Missed, "452") {
			t.Errorf("the channel stands as %+v %v", all["mail"], err)
		}
		time.Sleep(10 * time.Minute)
		if list, err := b.List(t.Context()); err != nil || len(list.Waiting) != 0 || len(list.GivenUp) != 0 {
			t.Errorf("undelivered after ten minutes: %+v %v", list, err)
		}
	})
}

// TestAFullMailboxInAStormStopsNoClock: the question is the eleventh of a channel that has
// not reached everybody for a while.
func TestAFullMailboxInAStormStopsNoClock(t *testing.T) {
	byMail(t, "452 mailbox full", func(t *testing.T, b *bench, o *office) {
		for i := range 10 {
			b.send(t, "ops", fmt.Sprintf("n%d", i))
		}
		time.Sleep(12 * time.Second)
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, 30*time.Second, true, "")
		if got := o.has("ann@example.com"); len(got) != 11 {
			t.Errorf("ann has %q, want each notice once", got)
		}
	})
}

// TestAnAddressThatIsLetInLaterGetsItsMail: some servers do so after five minutes.
func TestAnAddressThatIsLetInLaterGetsItsMail(t *testing.T) {
	byMail(t, "450 greylisted", func(t *testing.T, b *bench, o *office) {
		b.send(t, "ops", "n1")
		time.Sleep(5*time.Minute + time.Second)
		o.mu.Lock()
		o.answer = ""
		o.mu.Unlock()
		time.Sleep(time.Minute)
		if ann, left := o.has("ann@example.com"), o.has("left@example.com"); len(ann) != 1 || len(left) != 1 {
			t.Errorf("%q and %q, want each of them once", ann, left)
		}
		if all, err := b.Standing(t.Context(), time.Now()); err != nil || all["mail"].Missed != "" || all["mail"].Why != "" {
			t.Errorf("the channel stands as %+v %v", all["mail"], err)
		}
		if d, _, err := b.store.Outbox.Delivery(t.Context(), "mail", "n1"); err != nil || !d.Delivered || d.LastError != "" {
			t.Errorf("it stands as %+v %v, want nothing said of who is missing", d, err)
		}
	})
}

// failing is a notifier that says nothing but its error.
type failing struct{ err error }

func (f failing) Notify(context.Context, backout.Message) (backout.Receipt, error) {
	return backout.Receipt{}, f.err
}

// TestAnErrorThatSaysNothingStopsNothing: one without a reason, and one that cannot even
// be said.
func TestAnErrorThatSaysNothingStopsNothing(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		chat := &people{}
		var none *backout.PartlyError
		b.update(t, map[string]backout.Notifier{"bare": failing{&backout.PartlyError{Receipt: backout.Receipt{Ref: "1"}}}, "none": failing{none}, "chat": chat},
			map[string][]string{"ops": {"bare", "none", "chat"}})
		q := theQuestion("a1")
		ask(t, b.Outbox, q)
		looks(t, b.Outbox, q, time.Minute, true, "")
		wantIDs(t, "chat", chat, q.ID)
		all, err := b.Standing(t.Context(), time.Now().Add(-time.Hour))
		if err != nil || !strings.Contains(all["bare"].Missed, "some of the people") || !strings.Contains(all["none"].GaveUpFor, "panicked") {
			t.Errorf("the channels stand as %+v %v", all, err)
		}
	})
}
