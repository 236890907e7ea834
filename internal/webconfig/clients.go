package webconfig

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clients says whose certificates are let in.
type clients struct {
	// roots is nil when certificates name nobody.
	roots *x509.CertPool
	// allowed are the only names; nil means every name.
	allowed []string
}

// Certificate names the sender whose certificate chain a connection showed, the
// client's own first. It verifies the chain against the CA as it stands in the file
// now. The name is the SAN that client_allowed_sans has, else the first SAN, else the
// common name.
func (f *File) Certificate(chain []*x509.Certificate, now time.Time) (name string, ok bool) {
	if f == nil || f.clients.roots == nil || len(chain) == 0 {
		return "", false
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: f.clients.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return "", false
	}
	return f.clients.nameOf(chain[0])
}

// nameOf is the name under which a verified certificate is let in.
func (c clients) nameOf(cert *x509.Certificate) (string, bool) {
	names := sans(cert)
	if c.allowed != nil {
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(c.allowed, n) })
	} else if len(names) == 0 {
		names = []string{cert.Subject.CommonName}
	}
	if len(names) == 0 || !printable(names[0]) {
		return "", false
	}
	return names[0], true
}

// sans are the subject alternative names that the format compares, in its order.
func sans(cert *x509.Certificate) []string {
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	return names
}

// maxName is how long a sender's name may be, in bytes.
const maxName = 253

// printable tells whether the name can stand in a log and in a metric.
func printable(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// nameable tells whether the name can be a user's: a colon ends it in the header.
func nameable(name string) bool { return printable(name) && !strings.Contains(name, ":") }
