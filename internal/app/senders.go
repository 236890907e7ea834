package app

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/webconfig"
)

// signers are the senders of alerts that sign their requests.
func (l *loaded) signers() []handlers.Signer {
	var out []handlers.Signer
	for _, s := range l.config.Intake.Senders {
		out = append(out, handlers.Signer{
			Name: s.Name, Scheme: handlers.Scheme(s.HMAC.Scheme), Header: s.HMAC.Header, TimestampHeader: s.HMAC.TimestampHeader, Secret: s.HMAC.Secret,
		})
	}
	return out
}

// openSenders makes what knows the senders of alerts that have no token.
func (a *App) openSenders(l *loaded) (err error) {
	a.settings.Store(&l.config.Settings)
	var credentials handlers.Credentials
	if l.config.Web != nil {
		a.web = webconfig.NewLive(l.config.WebConfig, l.config.Web, a.vetWeb, a.o.Log)
		credentials = a.web
	}
	a.senders, err = handlers.NewSenders(credentials, l.signers())
	return err
}

// vetWeb refuses a web config file that would open the running server, or that needs
// another start.
func (a *App) vetWeb(f *webconfig.File) error {
	settings := *a.settings.Load()
	if f.TLS() != settings.Web.TLS() {
		return errors.New("tls_server_config was added or removed: " + restartFix)
	}
	settings.Web = a.webNow(settings.Web)
	wasOpen := settings.Open()
	settings.Web = f
	if settings.Open() && !wasOpen {
		return errors.New("with this file nobody would have to say who they are: " + restartFix)
	}
	return settings.CheckListen()
}

// webNow is the web config file as it counts, which is read more often than the config
// that was loaded with loaded.
func (a *App) webNow(loaded *webconfig.File) *webconfig.File {
	if a.web == nil {
		return loaded
	}
	return a.web.File()
}

// serverTLS is the server's side of TLS; nil means none.
func (a *App) serverTLS(cfg *config.Config) (*tls.Config, error) {
	switch {
	case cfg.Web.TLS():
		return a.web.ServerTLS(), nil
	case !cfg.TLS.On():
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	certificate, err := tls.LoadX509KeyPair(cfg.TLS.CertFile, cfg.TLS.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}
