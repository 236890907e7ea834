package webconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const tlsKey = "tls_server_config"

// tls builds the server's side of TLS.
func (l *loader) tls(s section, h httpServer) {
	if reflect.ValueOf(s).IsZero() && len(s.Allowed) == 0 && !l.root.Has(tlsKey, "client_allowed_sans") {
		return
	}
	cert, certOK := l.piece(s.Cert, s.CertFile, "cert", "cert_file")
	key, keyOK := l.piece(s.Key, s.KeyFile, "key", "key_file")
	if !certOK || !keyOK {
		return
	}
	if cert == nil || key == nil {
		l.problem("tls_server_config needs a certificate and its key", "give cert_file and key_file", tlsKey)
		return
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		// The errors of crypto/tls tell kinds of blocks, never what is in them.
		l.problem(strings.TrimPrefix(err.Error(), "tls: "), "the certificate and the key must be PEM and belong together", tlsKey, given(s.Cert, "cert", "cert_file"))
		return
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if !h.HTTP2 {
		cfg.NextProtos = []string{"http/1.1"}
	}
	l.versions(s, cfg)
	l.suites(s, cfg)
	l.clientAuth(s, cfg)
	l.file.tls = cfg
}

func (l *loader) versions(s section, cfg *tls.Config) {
	known := map[string]uint16{"TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13}
	read := func(key, text string, into *uint16) {
		switch v, ok := known[text]; {
		case text == "":
		case ok:
			*into = v
		case text == "TLS10", text == "TLS11":
			l.problem(fmt.Sprintf("%s: %s is no longer safe", key, text), "use TLS12 or TLS13", tlsKey, key)
		default:
			l.problem(fmt.Sprintf("%s: no TLS version %q", key, text), "use TLS12 or TLS13", tlsKey, key)
		}
	}
	read("min_version", s.MinVersion, &cfg.MinVersion)
	read("max_version", s.MaxVersion, &cfg.MaxVersion)
	if cfg.MinVersion > cfg.MaxVersion {
		l.problem("min_version is newer than max_version: nobody could connect", "swap them, or remove one", tlsKey, "min_version")
	}
}

// curves are the names that the format knows.
var curves = map[string]tls.CurveID{
	"CurveP256": tls.CurveP256, "CurveP384": tls.CurveP384, "CurveP521": tls.CurveP521, "X25519": tls.X25519,
}

func (l *loader) suites(s section, cfg *tls.Config) {
	for i, name := range s.Ciphers {
		all := tls.CipherSuites()
		at := slices.IndexFunc(all, func(c *tls.CipherSuite) bool { return c.Name == name })
		if at < 0 {
			l.problem(fmt.Sprintf("no cipher suite %q that is safe", name), "the names are those of Go's crypto/tls.CipherSuites", tlsKey, "cipher_suites", i)
			continue
		}
		cfg.CipherSuites = append(cfg.CipherSuites, all[at].ID)
	}
	for i, name := range s.Curves {
		id, ok := curves[name]
		if !ok {
			l.problem(fmt.Sprintf("no curve %q", name), "use CurveP256, CurveP384, CurveP521 or X25519", tlsKey, "curve_preferences", i)
			continue
		}
		cfg.CurvePreferences = append(cfg.CurvePreferences, id)
	}
}

// clientAuth reads whose certificates are let in.
func (l *loader) clientAuth(s section, cfg *tls.Config) {
	at := []any{tlsKey, "client_auth_type"}
	const use = "use VerifyClientCertIfGiven, or RequireAndVerifyClientCert"
	switch s.ClientAuth {
	case "", "NoClientCert":
		if s.ClientCA != "" || s.CAFile != "" || l.root.Has(tlsKey, "client_allowed_sans") {
			l.problem("client certificates are named, and client_auth_type does not ask for any", use, tlsKey)
		}
		return
	case "VerifyClientCertIfGiven":
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	case "RequireAndVerifyClientCert":
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
		l.warn("client_auth_type RequireAndVerifyClientCert: people and the command line need a certificate too", "VerifyClientCertIfGiven lets them connect and present their token", at...)
	case "RequestClientCert", "RequireAnyClientCert", "RequireClientCert":
		l.problem(fmt.Sprintf("client_auth_type %s verifies nothing: anybody can make such a certificate", s.ClientAuth), use, at...)
		return
	default:
		l.problem(fmt.Sprintf("no client_auth_type %q", s.ClientAuth), use, at...)
		return
	}
	l.authority(s, cfg)
	if l.root.Has(tlsKey, "client_allowed_sans") {
		if len(s.Allowed) == 0 {
			l.problem("client_allowed_sans is empty: no certificate would be let in", "name senders, or remove it", tlsKey, "client_allowed_sans")
		}
		l.file.clients.allowed = s.Allowed
	} else {
		l.warn("without client_allowed_sans every certificate of the client CA may send alerts", "name the senders there", tlsKey, given(s.ClientCA, "client_ca", "client_ca_file"))
	}
	clients := l.file.clients
	// Unlike VerifyPeerCertificate it is called for resumed sessions too.
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil // the client_auth_type said whether that may be
		}
		if _, ok := clients.nameOf(state.PeerCertificates[0]); !ok {
			return errors.New("no name of the client certificate is one of client_allowed_sans")
		}
		return nil
	}
}

func (l *loader) authority(s section, cfg *tls.Config) {
	data, ok := l.piece(s.ClientCA, s.CAFile, "client_ca", "client_ca_file")
	if !ok {
		return
	}
	if data == nil {
		l.problem("client certificates are asked for without client_ca_file: one of any public authority would do", "name the CA of the senders", tlsKey, "client_auth_type")
		return
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		l.problem("the client CA has no certificate in it", "want a PEM file", tlsKey, given(s.ClientCA, "client_ca", "client_ca_file"))
		return
	}
	cfg.ClientCAs = roots
	l.file.clients.roots = roots
}
