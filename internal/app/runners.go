package app

import (
	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/remote"
)

// sites are the ways to the runners near the targets. The first time a site has
// some, it begins to listen for them.
func (a *App) sites(cfg *config.Config) (map[string]engine.Site, error) {
	if len(cfg.Runners.Sites) == 0 {
		return nil, nil
	}
	key, err := remote.ParseSigningKey(cfg.Runners.SigningKey.Reveal())
	switch {
	case err != nil:
		return nil, err
	case a.runners != nil && a.runners.PublicKey() != key.Public():
		// A config between may have had no key at all.
		return nil, backout.Problems{{File: "backout.yaml", What: "runners.signing_key changed", Fix: restartFix}}
	case a.runners == nil:
		a.runners, err = remote.NewHub(remote.HubOptions{Conn: a.bus.Wire(), Key: key, Mark: a.mark, Log: a.o.Log})
		if err != nil {
			return nil, err
		}
		a.later(func() error { a.runners.Close(); return nil })
		a.o.Log.Info("listening for runners", "key", key.ID(), "sites", cfg.Runners.Sites)
	}
	out := make(map[string]engine.Site, len(cfg.Runners.Sites))
	for _, name := range cfg.Runners.Sites {
		out[name] = a.runners.Site(name)
	}
	return out, nil
}

// Runners lists the runners near the targets that were heard of within the last
// hour.
func (a *App) Runners() []remote.Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.runners == nil {
		return nil
	}
	return a.runners.Runners()
}

// checkSigningKey finds what would keep runners from believing the server.
func checkSigningKey(path string, r config.Runners) (problems backout.Problems) {
	if r.SigningKey.IsZero() {
		return nil
	}
	if _, err := remote.ParseSigningKey(r.SigningKey.Reveal()); err != nil {
		problems = append(problems, backout.Problem{File: path, What: "runners.signing_key: " + err.Error()})
	}
	return problems
}
