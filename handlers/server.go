package handlers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerOptions say how [Serve] listens and stops.
type ServerOptions struct {
	// TLS is the server's side of TLS; nil means plain HTTP.
	TLS *tls.Config
	Log *slog.Logger
	// Grace is how long requests may go on once ctx has ended; 0 means 10 s.
	Grace time.Duration
}

// Serve answers what comes in on ln until ctx ends, then lets requests finish:
// no new connection is taken, event streams end at once, and what still runs
// after the grace is cut off. It closes ln. Nil means that it stopped as asked.
func Serve(ctx context.Context, ln net.Listener, h *Handler, o ServerOptions) error {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	grace := o.Grace
	if grace <= 0 {
		grace = 10 * time.Second
	}
	srv := &http.Server{
		Handler: h, TLSConfig: o.TLS, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// A sender has this long for its headers and for the whole request;
		// Alertmanager's and Prometheus' own time-outs are shorter.
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		// Longer than the five minutes after which Alertmanager's client closes
		// an idle connection, so that it is never us who race with its request.
		IdleTimeout:    6 * time.Minute,
		MaxHeaderBytes: 32 << 10,
	}
	srv.RegisterOnShutdown(h.EndStreams)
	served := make(chan error, 1)
	go func() {
		if o.TLS != nil {
			served <- srv.ServeTLS(ln, "", "")
			return
		}
		served <- srv.Serve(ln)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), grace, fmt.Errorf("requests still ran after %s", grace))
	defer cancel()
	err := srv.Shutdown(stopping)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop serving: %w", context.Cause(stopping)), srv.Close())
	}
	<-served
	return err
}
