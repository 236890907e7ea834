// Package email sends notices as mail by SMTP, as plain text and as HTML with the same
// words. Nothing in it is fetched from elsewhere when it is read.
//
// The Message-ID is made from the notice's id, so that mail sent twice is seen as
// one by servers and programs that look at it; References tie the mails about one
// rollback together.
package email

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	netmail "net/mail"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// timeout bounds one delivery, from dialling to the server's last word; servers
// that scan mail take their time.
const timeout = 60 * time.Second

// Kind is the channel type.
func Kind() notifier.Kind {
	return notifier.Define("email", "mail by SMTP as text and HTML, one thread for each rollback", build)
}

func build(_ context.Context, c Config) (backout.Notifier, error) {
	return New(c)
}

// New makes the notifier of a channel.
func New(c Config) (*Notifier, error) {
	if err := c.Validate(); err != nil {
		return nil, backout.Permanent(err)
	}
	if c.Username != "" && c.Password.Reveal() == "" {
		return nil, backout.Permanent(errors.New("email password is empty: put the password there, or take username and password out"))
	}
	n := &Notifier{config: c, busy: make(chan struct{}, 1)}
	var err error
	if n.from, err = address(c.From); err != nil {
		return nil, backout.Permanent(err)
	}
	for _, to := range c.To {
		a, err := address(to)
		if err != nil {
			return nil, backout.Permanent(err)
		}
		n.to = append(n.to, a)
	}
	if n.host, n.port, err = c.server(); err != nil {
		return nil, backout.Permanent(err)
	}
	n.tls, err = tlsConfig(c, n.host)
	if err != nil {
		return nil, backout.Permanent(err)
	}
	return n, nil
}

func tlsConfig(c Config, host string) (*tls.Config, error) {
	t := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s has no certificate in PEM", c.CAFile)
	}
	return t, nil
}

// Notifier sends to one list of addresses. It may be used by many goroutines.
type Notifier struct {
	config Config
	from   *netmail.Address
	to     []*netmail.Address
	host   string
	port   int
	tls    *tls.Config

	// When a server takes mail for some addresses and wants to be asked again
	// for others, begun remembers the former, so that the next try of the same
	// notice reaches only the latter.
	begun begun
	// busy is held by the one delivery that is under way.
	busy chan struct{}
}

// Notify implements [backout.Notifier].
func (n *Notifier) Notify(ctx context.Context, m backout.Message) (backout.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return backout.Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	msg, id, err := n.compose(m)
	if err != nil {
		return backout.Receipt{}, backout.Permanent(err)
	}
	receipt := backout.Receipt{Ref: "<" + id + ">", Channel: n.config.SMTP}
	some, err := n.deliver(ctx, m.Notice.ID, msg)
	switch {
	case err == nil:
		return receipt, nil
	case some:
		return backout.Receipt{}, &backout.PartlyError{Receipt: receipt, Err: n.explain(ctx, err)}
	}
	return backout.Receipt{}, n.explain(ctx, err)
}

// compose writes the mail. Every header value is one line, or made from a
// digest; go-mail encodes what is not ASCII.
func (n *Notifier) compose(m backout.Message) (*mail.Msg, string, error) {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(n.from)
	msg.ToMailAddress(n.to...)
	msg.Subject(subject(m.Subject))
	id := n.messageID(m.Notice.ID)
	msg.SetMessageIDWithValue(id)
	msg.SetDate()
	if m.Thread != nil && isMessageID(m.Thread.Ref) && m.Thread.Ref != "<"+id+">" {
		msg.SetGenHeader(mail.HeaderInReplyTo, m.Thread.Ref)
		msg.SetGenHeader(mail.HeaderReferences, m.Thread.Ref)
	}
	// RFC 3834, 5: no out-of-office answers to this.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader("X-Backout-Moment", moment(m.Notice.Moment))
	msg.SetBodyString(mail.TypeTextPlain, strings.ToValidUTF8(m.Text, "\uFFFD")+"\n")
	if n.config.TextOnly {
		return msg, id, nil
	}
	page, err := writeHTML(m, subject(m.Subject))
	if err != nil {
		return nil, "", err
	}
	// What stands between the parts is random: a notice's id can be guessed, and a text
	// that knew the boundary could end its part.
	msg.AddAlternativeString(mail.TypeTextHTML, page)
	return msg, id, nil
}

// subject is one line. What looks like a word that a mail program would decode
// (RFC 2047) is taken apart by a character nobody sees, which has the whole
// encoded.
func subject(s string) string {
	s = notifier.Cut(notifier.OneLine(strings.ToValidUTF8(s, "\uFFFD")), notifier.MaxSubject)
	return strings.ReplaceAll(s, "=?", "=\u2060?")
}

// messageID is the same for every delivery of a notice to these addresses.
func (n *Notifier) messageID(noticeID string) string {
	sum := sha256.Sum256([]byte(noticeID))
	id := "backout." + hex.EncodeToString(sum[:16]) + "@"
	if domain := n.from.Address[strings.LastIndexByte(n.from.Address, '@')+1:]; isMessageID("<" + id + domain + ">") {
		return id + domain
	}
	return id + "backout.invalid"
}

// messageIDShape is what [Notifier.messageID] makes.
var messageIDShape = regexp.MustCompile(`^<backout\.[0-9a-f]{32}@[A-Za-z0-9.-]{1,253}>$`)

func isMessageID(s string) bool { return messageIDShape.MatchString(s) }

// moment keeps the header to the moments there are.
func moment(m backout.Moment) string {
	for _, known := range backout.Moments() {
		if m == known {
			return string(m)
		}
	}
	return "other"
}
