package email

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	nethtml "golang.org/x/net/html"

	"github.com/backout-io/backout/notifier/notifiertest"
)

// post is one mail as the server got it.
type post struct {
	tls        bool
	user, from string
	to         []string
	data       []byte
}

// office is a real SMTP server on loopback.
type office struct {
	addr, caFile string
	gone         chan struct{}

	mu     sync.Mutex
	answer notifiertest.Answer
	// onAuth, onMail, onRcpt and onData turn commands away.
	onAuth, onMail, onData error
	onRcpt                 map[string]error
	posts                  []post
}

type option func(*smtp.Server)

func plainOnly(s *smtp.Server) { s.TLSConfig = nil }

func newOffice(t *testing.T, options ...option) *office {
	t.Helper()
	o := &office{gone: make(chan struct{}), onRcpt: map[string]error{}}
	certificate := o.certificate(t)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{o: o, conn: c}, nil }))
	server.Domain, server.TLSConfig = "mail.test", &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.ErrorLog = quiet{}
	for _, set := range options {
		set(server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = listener.Addr().String()
	if strings.HasPrefix(server.Domain, "implicit.") {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		close(o.gone)
		_ = server.Close()
		<-ended
	})
	return o
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// certificate makes one for 127.0.0.1 that leads to itself.
func (o *office) certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	o.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(o.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Set implements [notifiertest.Peer].
func (o *office) Set(a notifiertest.Answer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer, o.onData = a, nil
	switch a {
	case notifiertest.Fail:
		o.onData = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later, " + notifiertest.SecretText}
	case notifiertest.Refuse:
		o.onData = &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "no, " + notifiertest.SecretText}
	case notifiertest.Take, notifiertest.Later, notifiertest.Hang:
	}
}

func (o *office) take() []post {
	o.mu.Lock()
	defer o.mu.Unlock()
	posts := o.posts
	o.posts = nil
	return posts
}

func (o *office) with(change func(*office)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(o)
}

// Deliveries implements [notifiertest.Peer].
func (o *office) Deliveries() []notifiertest.Delivery {
	var out []notifiertest.Delivery
	for _, p := range o.take() {
		d, err := read(p)
		if err != nil {
			d.Shape = append(d.Shape, "unreadable: "+err.Error())
		}
		out = append(out, d)
	}
	return out
}

// read shows a mail as a reader would see it.
func read(p post) (notifiertest.Delivery, error) {
	m, err := mail.ReadMessage(bytes.NewReader(p.data))
	if err != nil {
		return notifiertest.Delivery{}, err
	}
	d := notifiertest.Delivery{ID: m.Header.Get("Message-ID"), Thread: m.Header.Get("References")}
	for _, to := range p.to {
		d.Shape = append(d.Shape, "recipient "+to)
	}
	for name, values := range m.Header {
		d.Shape = append(d.Shape, "header "+name+" "+strconv.Itoa(len(values)))
	}
	for _, name := range []string{"To", "From", "Mime-Version", "X-Backout-Moment"} {
		d.Shape = append(d.Shape, name+": "+m.Header.Get(name))
	}
	if d.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return d, err
	}
	parts, err := parts(m)
	if err != nil {
		return d, err
	}
	for i, p := range parts {
		d.Shape = append(d.Shape, fmt.Sprintf("part %d: %s", i, p.kind))
		if strings.HasPrefix(p.kind, "text/html") {
			shape, _ := look(p.text)
			d.Shape = append(d.Shape, shape...)
		}
	}
	slices.Sort(d.Shape)
	d.Text = parts[0].text
	return d, nil
}

// part is one of a mail, decoded.
type part struct{ kind, text string }

func parts(m *mail.Message) ([]part, error) {
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	if kind != "multipart/alternative" {
		p, err := decode(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return []part{p}, err
	}
	var list []part
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		raw, err := r.NextRawPart()
		if errors.Is(err, io.EOF) && len(list) > 0 {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		p, err := decode(raw.Header.Get("Content-Type"), raw.Header.Get("Content-Transfer-Encoding"), raw)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
}

func decode(kind, encoding string, r io.Reader) (part, error) {
	if encoding != "quoted-printable" {
		return part{}, errors.New("not quoted-printable")
	}
	body, err := io.ReadAll(quotedprintable.NewReader(r))
	return part{kind, strings.ReplaceAll(string(body), "\r\n", "\n")}, err
}

// look reads a page as a browser does: its elements with their attributes, and what of
// it can be read.
func look(page string) (shape []string, text string) {
	var words strings.Builder
	hidden := ""
	for z := nethtml.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case nethtml.ErrorToken:
			return shape, words.String()
		case nethtml.TextToken:
			if hidden == "" {
				words.Write(z.Text())
			}
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken:
			t := z.Token()
			if t.Data == "style" || t.Data == "title" {
				hidden = t.Data
			}
			shape = append(shape, "element "+t.String())
		case nethtml.EndTagToken:
			if t := z.Token(); t.Data == hidden {
				hidden = ""
			}
		case nethtml.CommentToken:
			shape = append(shape, "comment")
		case nethtml.DoctypeToken:
			shape = append(shape, "doctype")
		}
	}
}

// session is one connection.
type session struct {
	o    *office
	conn *smtp.Conn
	user string
	post post
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.o.mu.Lock()
		defer s.o.mu.Unlock()
		if s.o.onAuth != nil {
			return s.o.onAuth
		}
		if password != notifiertest.SecretText {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	_, encrypted := s.conn.TLSConnectionState()
	s.post = post{tls: encrypted, user: s.user, from: from}
	return s.o.onMail
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	if err := s.o.onRcpt[to]; err != nil {
		return err
	}
	s.post.to = append(s.post.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.o.mu.Lock()
	hang, onData := s.o.answer == notifiertest.Hang, s.o.onData
	s.o.mu.Unlock()
	if hang {
		<-s.o.gone
		return errors.New("gone")
	}
	if onData != nil {
		return onData
	}
	s.post.data = data
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.posts = append(s.o.posts, s.post)
	return nil
}

func (*session) Reset()        {}
func (*session) Logout() error { return nil }
