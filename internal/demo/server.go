package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/client"
)

// startHook is where the demo's notices arrive: a webhook receiver that prints.
func (s *story) startHook() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for notices: %w", err)
	}
	s.hook = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			Notice  backout.Notice `json:"notice"`
			Subject string         `json:"subject"`
		}
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&body); err == nil {
			s.say("notice       [to %s] %s", body.Notice.Audience, body.Subject)
		}
	})}
	s.tasks.Go(func() { _ = s.hook.Serve(listener) })
	s.later(func() { _ = s.hook.Close() })
	return "http://" + listener.Addr().String(), nil
}

func (s *story) startServer(ctx context.Context, hookURL string) error {
	if err := s.makeSecrets(); err != nil {
		return err
	}
	slackURL, err := s.startSlack()
	if err != nil {
		return err
	}
	listener, err := s.listen(ctx)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(s.shopAddr)
	if err != nil {
		return fmt.Errorf("shop's address: %w", err)
	}
	config := filepath.Join(s.dir, "config")
	err = write(config, Values{
		Listen: s.at, ExternalURL: "http://" + s.at, DataDir: filepath.Join(s.dir, "data"), Secrets: filepath.Join(s.dir, "secrets"),
		HookURL: hookURL, SlackURL: slackURL, People: s.people, Watchdog: s.pace.watchdog > 0,
		Every: s.pace.every, HoldFor: s.pace.holdFor, EscalateAfter: s.pace.escalateAfter, LastAfter: "1m", Veto: s.pace.veto, Timeout: "5s", Port: port,
		Bin: filepath.Join(s.dir, "bin"), Target: "web-1", Address: "127.0.0.1", Transport: "local",
	})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(s.o.Out, &slog.HandlerOptions{Level: slog.LevelError}))
	s.app, err = app.New(ctx, app.Options{Config: filepath.Join(config, "backout.yaml"), Log: log, Accounts: onlyAnn{}, Listener: listener})
	if err != nil {
		return fmt.Errorf("start server: %w", err)
	}
	s.later(func() { _ = s.app.Close() })
	if err := s.app.Start(); err != nil {
		return err
	}
	s.client, err = client.New(client.Options{Server: "http://" + s.at, Token: backout.SecretValue(s.token["pipeline.token"])})
	return err
}

// makeSecrets makes the people, and writes a file for each secret of the config.
func (s *story) makeSecrets() (err error) {
	if s.people, err = newPeople(); err != nil {
		return err
	}
	s.token = map[string]string{}
	for _, name := range []string{"alertmanager.token", "pipeline.token", "hook.secret", "slack.token", "slack-app.token"} {
		s.token[name] = rand.Text()
		if err := writeFile(filepath.Join(s.dir, "secrets", name), []byte(s.token[name]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// listen takes the server's address, which its links name, before the server starts.
func (s *story) listen(ctx context.Context) (net.Listener, error) {
	wanted := s.o.Listen
	if wanted == "" {
		wanted = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(wanted)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: want HOST:PORT, such as 127.0.0.1:8420: %w", wanted, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", wanted)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", wanted, err)
	}
	s.later(func() { _ = listener.Close() }) // once more where the server has closed it
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("address of the server: %w", err)
	}
	s.at = net.JoinHostPort(host, port)
	return listener, nil
}
