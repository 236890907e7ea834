package config

import (
	"fmt"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/secret"
)

// Runner is runner.yaml: all that a runner near its targets is told. Which steps
// it carries out comes from the servers; what reaches its targets, and the secrets
// of steps, from here.
type Runner struct {
	Name string     `yaml:"name" required:"true" doc:"Name of this runner in the log, different from the others of its site."`
	Site string     `yaml:"site" required:"true" doc:"The site whose targets it reaches, as the inventory calls it."`
	NATS RunnerNATS `yaml:"nats" required:"true" doc:"Where servers and runners meet."`
	// ServerKeys are several while one is being replaced.
	ServerKeys []string `yaml:"server_keys" required:"true" doc:"Public keys of the servers it works for, as backout runner keygen prints them."`
	SSH        SSH      `yaml:"ssh" doc:"How targets with transport ssh are reached from here."`
	Prometheus Endpoint `yaml:"prometheus" doc:"Asked by promql checks, from here."`
	MaxSteps   int      `yaml:"max_steps" doc:"Steps it carries out at once. Default 32."`
	// Executors and Checks are nil where the file does not have them, and empty
	// where it has them without a name.
	Executors []string `yaml:"executors" doc:"The only kinds of steps it carries out, whatever a server signs; [] for none. Default: all."`
	Checks    []string `yaml:"checks" doc:"The only kinds of checks it runs, whatever a server signs; [] for none. Default: all, without command where executors leaves that out."`

	// Dir is the file's directory, absolute.
	Dir string `yaml:"-"`
}

// RunnerNATS is the user's NATS, with the credentials of a runner.
type RunnerNATS struct {
	URL         string         `yaml:"url" required:"true" doc:"nats:// or tls:// addresses, with commas between."`
	Credentials backout.Secret `yaml:"credentials" doc:"Content of a NATS .creds file, with the rights that backout runner permissions prints."`
	// TLSCA is absolute.
	TLSCA string `yaml:"tls_ca" doc:"PEM file with the CA of the NATS servers."`
}

// ResolveSecrets is as [Config.ResolveSecrets].
func (r *Runner) ResolveSecrets(config any) error {
	return secret.Resolve(config, secret.Reader{Dir: r.Dir})
}

// maxSteps is the most that max_steps may be.
const maxSteps = 10_000

// LoadRunner reads the file of a runner. key judges the text of a server's key.
// The problems are sorted by place; the runner is nil when one of them is more
// than a warning.
func LoadRunner(path string, kinds Kinds, key func(text string) error) (*Runner, backout.Problems) {
	l := newLoader(path, kinds)
	r := &Runner{SSH: SSH{Port: 22, ConnectTimeout: backout.Duration(10 * time.Second)}, MaxSteps: 32}
	if doc, ok := l.parse(path); ok {
		l.root = doc.Root()
		problems := doc.Decode(r)
		l.add(problems...)
		l.clean = len(problems) == 0
		r.Dir = l.cfg.Dir
		l.runner(r, key)
	}
	l.secrets()
	problems := l.finish()
	if problems.Fatal() != nil {
		return nil, problems
	}
	if err := r.ResolveSecrets(r); err != nil {
		return nil, append(problems, backout.Problem{File: path, What: err.Error()})
	}
	return r, problems
}

func (l *loader) runner(r *Runner, key func(text string) error) {
	if l.clean && !l.root.Has("name") {
		l.add(backout.Problem{File: l.cfg.Path, What: "the file says nothing", Fix: "give name, site, nats.url and server_keys"})
	}
	for _, n := range []struct{ what, key, name string }{{"a runner", "name", r.Name}, {"a site", "site", r.Site}} {
		if l.root.Has(n.key) {
			l.name(n.what, n.name, plainName, plainNameFix, l.at(n.key))
		}
	}
	if l.root.Has("nats", "url") {
		n := NATS{URL: r.NATS.URL, TLSCA: r.NATS.TLSCA, Replicas: 1}
		l.nats(&n)
		if n.URL == "" {
			l.add(l.at("nats", "url").Problem("nats.url is empty", "name the NATS that the servers use"))
		}
		r.NATS.TLSCA = n.TLSCA
	}
	if l.root.Has("server_keys") && len(r.ServerKeys) == 0 {
		l.add(l.at("server_keys").Problem("no server key: every step would be refused", "add what backout runner keygen printed"))
	}
	for i, text := range r.ServerKeys {
		if err := key(text); err != nil {
			l.add(l.at("server_keys", i).Problem(err.Error(), ""))
		}
	}
	l.allowed("executors", "executor", &r.Executors, func(uses string) bool { _, ok := l.kinds.Executors.Lookup(uses); return ok })
	l.allowed("checks", "check", &r.Checks, func(uses string) bool { _, ok := l.kinds.Checks.Lookup(uses); return ok })
	l.atLeast(int64(r.MaxSteps), 1, "1", "max_steps")
	if r.MaxSteps > maxSteps {
		l.add(l.at("max_steps").Problem(fmt.Sprintf("max_steps: %d", r.MaxSteps), fmt.Sprintf("want 1 to %d", maxSteps)))
	}
	if r.Prometheus.URL != "" || !r.Prometheus.Token.IsZero() {
		l.url("http://HOST:PORT", []string{"http", "https"}, r.Prometheus.URL, "prometheus", "url")
	}
	l.sshSection(&r.SSH)
}

// allowed reads a list of the only kinds that are allowed. One without a name
// allows none: whoever takes out its last line did not mean all.
func (l *loader) allowed(key, what string, list *[]string, known func(uses string) bool) {
	if l.root.Has(key) && *list == nil {
		*list = []string{}
	}
	for i, uses := range *list {
		if !known(uses) {
			l.add(l.at(key, i).Problem(fmt.Sprintf("%s %q is not known", what, uses), "backout kinds lists them"))
		}
	}
}
