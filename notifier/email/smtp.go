package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// deliver hands the mail to the server for every address that does not have it
// yet. Addresses that the server refuses do not keep the others from getting it. some
// tells that it has answered for the addresses, and that any has the mail by now.
func (n *Notifier) deliver(ctx context.Context, noticeID string, msg *mail.Msg) (some bool, err error) {
	select {
	case n.busy <- struct{}{}:
		defer func() { <-n.busy }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	has := n.begun.of(noticeID)
	answered, err := n.send(ctx, has, msg)
	if err == nil || isRefused(err) && len(has) == 0 {
		n.begun.end(noticeID) // all have it, or none has
	}
	return answered && len(has) > 0, err
}

// send is one try; it adds to has who got the mail by it. answered tells that the server
// took the mail, or said why not of an address.
func (n *Notifier) send(ctx context.Context, has map[string]bool, msg *mail.Msg) (answered bool, err error) {
	client, hangUp, err := n.dial(ctx)
	if err != nil {
		return false, err
	}
	defer hangUp()
	if err := client.Mail("<" + n.from.Address + ">"); err != nil {
		return false, fmt.Errorf("sender %s: %w", n.from.Address, err)
	}
	accepted, later, never := n.offer(client, has)
	if len(accepted) > 0 {
		if err := transmit(client, msg); err != nil {
			return false, err
		}
		for _, to := range accepted {
			has[to] = true
		}
		// Its answer would say nothing, and some servers give none.
		_, _ = client.Text.Cmd("QUIT")
	}
	err = errors.Join(later, never)
	if err == nil {
		return true, nil
	}
	var answer *textproto.Error
	answered = len(accepted) > 0 || errors.As(err, &answer)
	err = fmt.Errorf("%w (%d of %d addresses have the mail)", err, len(has), len(n.to))
	if later == nil {
		return answered, refusedError{err}
	}
	return answered, err
}

// offer names every address to the server that does not have the mail.
func (n *Notifier) offer(client *smtp.Client, has map[string]bool) (accepted []string, later, never error) {
	for _, to := range n.to {
		if has[to.Address] {
			continue
		}
		err := client.Rcpt("<" + to.Address + ">")
		switch {
		case err == nil:
			accepted = append(accepted, to.Address)
		case isRefusal(err):
			never = errors.Join(never, fmt.Errorf("recipient %s: %w", to.Address, err))
		default:
			later = errors.Join(later, fmt.Errorf("recipient %s: %w", to.Address, err))
		}
	}
	return accepted, later, never
}

// refusedError is a refusal that trying again does not cure.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

func isRefused(err error) bool {
	var refused refusedError
	return errors.As(err, &refused)
}

func transmit(client *smtp.Client, msg *mail.Msg) error {
	w, err := client.Data()
	if err != nil {
		return fmt.Errorf("start data: %w", err)
	}
	if _, err := msg.WriteTo(w); err != nil {
		return fmt.Errorf("send data: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("end data: %w", err)
	}
	return nil
}

// dial connects, protects the connection as configured and logs in. hangUp ends
// it at once; so does the end of ctx, whatever the connection waits for.
func (n *Notifier) dial(ctx context.Context) (client *smtp.Client, hangUp func(), err error) {
	// The library watches ctx only while it dials; closing the connection under
	// it ends every wait after that.
	hangUp = func() {}
	options := []mail.Option{
		mail.WithPort(n.port), mail.WithTimeout(timeout), mail.WithTLSConfig(n.tls), mail.WithTLSPolicy(n.policy()),
		mail.WithDialContextFunc(func(dialing context.Context, network, addr string) (net.Conn, error) {
			conn, err := n.connect(dialing, network, addr)
			if err == nil {
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				hangUp = func() { stop(); _ = conn.Close() }
			}
			return conn, err
		}),
	}
	if n.config.StartTLS == Implicit {
		options = append(options, mail.WithSSL())
	}
	if n.config.Helo != "" {
		options = append(options, mail.WithHELO(n.config.Helo))
	}
	if n.config.Username != "" {
		options = append(options, mail.WithUsername(n.config.Username), mail.WithPassword(n.config.Password.Reveal()),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5))
	}
	c, err := mail.NewClient(n.host, options...)
	if err != nil {
		return nil, nil, backout.Permanent(err)
	}
	client, err = c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		hangUp()
		return nil, nil, err
	}
	return client, hangUp, nil
}

func (n *Notifier) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	if n.config.StartTLS == Implicit {
		return (&tls.Dialer{Config: n.tls}).DialContext(ctx, network, addr)
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

func (n *Notifier) policy() mail.TLSPolicy {
	switch n.config.StartTLS {
	case Opportunistic:
		return mail.TLSOpportunistic
	case None:
		return mail.NoTLS
	case Implicit, Required:
	}
	return mail.TLSMandatory
}

// isRefusal tells the server's permanent answers, 5xx (RFC 5321, 4.2.1).
func isRefusal(err error) bool {
	var answer *textproto.Error
	return errors.As(err, &answer) && answer.Code >= 500 && answer.Code <= 599
}

// ended returns why ctx is over. A connection that ends with the deadline of ctx may tell
// so before ctx does.
func ended(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// explain makes the error people see: no secret, and what to do about it.
func (n *Notifier) explain(ctx context.Context, err error) error {
	if end := ended(ctx); end != nil && !isRefused(err) {
		return fmt.Errorf("send mail by %s: %w", n.config.SMTP, end)
	}
	text := notifier.OneLine(strings.ToValidUTF8(notifier.Redact(err.Error(), n.config.Password), "\uFFFD"))
	said := fmt.Errorf("send mail by %s: %s", n.config.SMTP, notifier.Cut(text, 500))
	var answer *textproto.Error
	switch {
	case isRefused(err):
		return backout.Permanent(fmt.Errorf("%w: check from and to", said))
	case errors.As(err, &answer) && (answer.Code == 535 || answer.Code == 534 || answer.Code == 530):
		return backout.Permanent(fmt.Errorf("%w: check username and password", said))
	case isRefusal(err), backout.IsPermanent(err):
		return backout.Permanent(said)
	}
	return said
}
