package app

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/remote"
)

// TestRunnersExample: the file to begin with needs nothing but what it names.
func TestRunnersExample(t *testing.T) {
	path := filepath.Join("..", "..", "deploy", "example", "runner", "runner.yaml")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	problems := CheckRunner(t.Context(), path)
	if len(problems) == 0 {
		t.Fatal("its secrets were found")
	}
	for _, p := range problems {
		if !strings.Contains(p.What, "no systemd credentials here") && !strings.Contains(p.What, "known_hosts") {
			t.Error(p)
		}
	}
}

// deaf is a connection on which nobody speaks.
type deaf struct{ remote.Conn }

func (deaf) Subscribe(string, string, func(bus.Message)) (func(), error) { return func() {}, nil }

// TestSigningKeyIsNotSwappedByReloads: nor by two, with a config without one between,
// since what listens for runners keeps the first.
func TestSigningKeyIsNotSwappedByReloads(t *testing.T) {
	var keys [2]remote.SigningKey
	for i := range keys {
		var err error
		if keys[i], err = remote.NewSigningKey(); err != nil {
			t.Fatal(err)
		}
	}
	hub, err := remote.NewHub(remote.HubOptions{Conn: deaf{}, Key: keys[0]})
	if err != nil {
		t.Fatal(err)
	}
	a := &App{runners: hub, o: Options{Log: slog.New(slog.DiscardHandler)}}
	with := func(k remote.SigningKey) *config.Config {
		var cfg config.Config
		cfg.Runners = config.Runners{SigningKey: k.Private(), Sites: []string{"fra"}}
		return &cfg
	}
	if sites, err := a.sites(with(keys[0])); err != nil || sites["fra"] == nil {
		t.Errorf("the same key: %v, %v", sites, err)
	}
	if sites, err := a.sites(&config.Config{}); err != nil || len(sites) != 0 {
		t.Errorf("no key: %v, %v", sites, err)
	}
	if _, err := a.sites(with(keys[1])); err == nil || !strings.Contains(err.Error(), "runners.signing_key changed") || strings.Contains(err.Error(), keys[1].Private().Reveal()) {
		t.Errorf("another key: %v", err)
	}
}
