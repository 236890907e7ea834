package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	executorsall "github.com/backout-io/backout/executors/all"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/host"
	"github.com/backout-io/backout/internal/host/ssh"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/plugin"
	"github.com/backout-io/backout/internal/promql"
	"github.com/backout-io/backout/internal/runner"
	"github.com/backout-io/backout/internal/secret"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/notifier"
	notifierall "github.com/backout-io/backout/notifier/all"
	"github.com/backout-io/backout/rules"
)

// Kinds are the plug-ins built in.
func Kinds() (config.Kinds, error) {
	ex, err := executors.NewRegistry(executorsall.Kinds()...)
	if err != nil {
		return config.Kinds{}, err
	}
	no, err := notifierall.Registry()
	if err != nil {
		return config.Kinds{}, err
	}
	ch, err := plugin.NewRegistry(checks.All(checks.Options{})...)
	if err != nil {
		return config.Kinds{}, err
	}
	return config.Kinds{Executors: ex, Notifiers: no, Checks: ch}, nil
}

// loaded is one reading of all files.
type loaded struct {
	config    *config.Config
	kinds     config.Kinds
	rules     *rules.Set
	templates *notifier.Templates
	// records is the channel that the gate asks for records; nil asks nobody.
	records engine.Records
	// channelSecrets are those that outboxConfig has resolved.
	channelSecrets []backout.Secret
	// channels are those that outboxConfig has built.
	channels map[string]outbox.Channel
}

// load reads every file the config names. All problems of all files come in one
// run.
func load(path string) (*loaded, backout.Problems) { return read(path, false) }

// read is load; offline reads no secrets, so nothing may be built from it.
func read(path string, offline bool) (*loaded, backout.Problems) {
	kinds, err := Kinds()
	if err != nil {
		return nil, backout.Problems{{File: path, What: err.Error()}}
	}
	kinds.Offline = offline
	l := &loaded{kinds: kinds}
	kinds.Rules = func(files []config.File) (problems backout.Problems) {
		data := make(map[string][]byte, len(files))
		for _, f := range files {
			data[f.Path] = f.Data
		}
		l.rules, problems = rules.Load(data)
		return problems
	}
	kinds.Templates = func(texts map[string]string, audiences []string) (problems backout.Problems) {
		l.templates, problems = notifier.NewTemplatesFor(texts, notifier.Known{Channels: kinds.Notifiers.Names(), Audiences: audiences})
		return problems
	}
	var problems backout.Problems
	if l.config, problems = config.Load(path, kinds); l.config == nil {
		return nil, problems
	}
	problems = append(problems, l.checkUses()...)
	problems.Sort()
	if problems.Fatal() != nil {
		return nil, problems
	}
	if !offline {
		problems = append(problems, checkSSH(path, l.config.SSH)...)
		problems = append(problems, checkSigningKey(path, l.config.Runners)...)
	}
	return l, problems
}

// checkSSH finds what would only show when the first target is reached.
func checkSSH(path string, s config.SSH) (problems backout.Problems) {
	if s.KnownHosts != "" {
		if err := ssh.CheckKnownHosts(s.KnownHosts); err != nil {
			problems = append(problems, backout.Problem{File: path, What: err.Error()})
		}
	}
	if !s.Key.IsZero() {
		if err := ssh.CheckKey(s.Key); err != nil {
			problems = append(problems, backout.Problem{File: path, What: err.Error()})
		}
	}
	return problems
}

// Check returns every problem of every file the config names, and what would
// keep the channels from being built. It reaches nobody.
func Check(ctx context.Context, path string) backout.Problems {
	l, problems := load(path)
	if problems.Fatal() != nil {
		return problems
	}
	if _, err := l.outboxConfig(ctx); err != nil {
		problems = append(problems, backout.Problem{File: path, What: err.Error()})
	}
	problems = append(problems, l.checkButtons(path)...)
	return withoutTwins(append(problems, checkRuleTests(l.config.RuleTests)...))
}

// withoutTwins keeps one of each problem: a rule file is looked at by each of its
// test files too.
func withoutTwins(problems backout.Problems) backout.Problems {
	seen := map[backout.Problem]bool{}
	problems = slices.DeleteFunc(problems, func(p backout.Problem) bool {
		twin := seen[p]
		seen[p] = true
		return twin
	})
	problems.Sort()
	return problems
}

// engineConfig is what the engine works with.
func (l *loaded) engineConfig(hosts *host.Registry, log *slog.Logger) (*engine.Config, error) {
	cfg := l.config
	kinds, err := plugin.NewRegistry(checks.All(checks.Options{PrometheusURL: cfg.Prometheus.URL, PrometheusToken: cfg.Prometheus.Token})...)
	if err != nil {
		return nil, err
	}
	out := &engine.Config{
		Plans: cfg.Plans, Inventory: cfg.Inventory, Rules: l.rules,
		Runner: runner.New(runner.Options{
			Executors: l.kinds.Executors, Checks: kinds, Hosts: hosts, Resolve: cfg.ResolveSecrets, Secrets: l.secrets(), Log: log,
		}),
		WantsDelta:     func(uses string) bool { k, ok := l.kinds.Executors.Lookup(uses); return ok && k.WantsDelta },
		ReadinessEvery: time.Duration(cfg.ReadinessEvery),
		Promotion:      trigger.Policy{Required: cfg.Promotion.Required, Agreed: cfg.Promotion.Agreed, Precision: cfg.Promotion.Precision},
		Groups:         l.groups(), OpenGroups: cfg.Auth.OIDC.On(), MayApprove: l.mayApprove, Audiences: cfg.Audiences,
		Acts: func(audience string) bool { return cfg.KindOf(audience).MayAct() }, ExternalURL: cfg.ExternalURL,
		Exploited: cfg.Exploited, Records: l.records,
	}
	if cfg.Prometheus.URL != "" {
		if out.Queries, err = promql.NewClient(cfg.Prometheus.URL, cfg.Prometheus.Token); err != nil {
			return nil, err
		}
	}
	servers := make([]checks.Alertmanager, len(cfg.Alertmanagers))
	for i, am := range cfg.Alertmanagers {
		servers[i] = checks.Alertmanager{URL: am.URL, Token: am.Token}
	}
	if cfg.Monitoring.On() {
		watchdog, err := rules.ParseMatchers(cfg.Monitoring.Watchdog)
		if err != nil {
			return nil, fmt.Errorf("monitoring: %w", err)
		}
		out.Monitoring = &engine.Monitoring{
			Watchdog: watchdog, MissingAfter: time.Duration(cfg.Monitoring.MissingAfter), Audience: cfg.Monitoring.Audience,
		}
	}
	if alerts := checks.NewAlerts(servers); alerts != nil {
		out.Alerts, out.Treated = alerts, alerts
	}
	return out, nil
}

// secrets are what must never show up in a step's output: those of the settings
// and those of the channels.
func (l *loaded) secrets() []backout.Secret {
	return append(secret.All(&l.config.Settings), l.channelSecrets...)
}

// outboxConfig builds the channels.
func (l *loaded) outboxConfig(ctx context.Context) (outbox.Config, error) {
	routes := &l.config.Routes
	out := outbox.Config{
		Channels: map[string]outbox.Channel{}, Audiences: l.config.Audiences, Kinds: map[string]notifier.AudienceKind{},
		Routes: routes.Routes, Intervals: routes.Intervals, Templates: l.templates,
	}
	for name := range l.config.Audiences {
		out.Kinds[name] = l.config.KindOf(name)
	}
	for _, name := range slices.Sorted(maps.Keys(l.config.Channels)) {
		channel := l.config.Channels[name]
		kind, ok := l.kinds.Notifiers.Lookup(channel.Type)
		if !ok {
			return out, fmt.Errorf("channel %s: type %s: %w", name, channel.Type, backout.ErrNotFound)
		}
		resolve := func(section any) error {
			err := l.config.ResolveSecrets(section)
			l.channelSecrets = append(l.channelSecrets, secret.All(section)...)
			return err
		}
		n, err := kind.Build(ctx, channel.Section, resolve)
		if err != nil {
			return out, fmt.Errorf("channel %s: %w", name, err)
		}
		out.Channels[name] = outbox.Channel{Notifier: n, Style: kind.Style()}
		if name != l.config.ITSM.Channel {
			continue
		}
		if l.records, err = recordsOf(n); err != nil {
			return out, fmt.Errorf("itsm: channel %s: %w", name, err)
		}
	}
	l.channels = out.Channels
	return out, nil
}

// recordsOf is the notifier as what keeps records.
func recordsOf(n backout.Notifier) (engine.Records, error) {
	r, ok := n.(notifier.Records)
	if !ok {
		return nil, fmt.Errorf("%w: it keeps no records of changes", backout.ErrInvalid)
	}
	if err := r.Readable(); err != nil {
		return nil, err
	}
	return r, nil
}

// tokens are who may call, and who may send alerts.
func (l *loaded) tokens() (api, intake []handlers.Token) {
	for _, t := range l.config.Auth.Tokens {
		api = append(api, handlers.Token{Name: t.Name, Groups: l.config.GroupsOf(t.Name), Grants: l.config.HolderGrants(t.Name), Secret: t.Token})
	}
	for _, t := range l.config.Intake.Tokens {
		intake = append(intake, handlers.Token{Name: t.Name, Secret: t.Token})
	}
	return api, intake
}

// mayApprove tells whether somebody may approve on all of the targets.
func (l *loaded) mayApprove(person string, targets []string) bool {
	grants := l.config.HolderGrants(person)
	places := make([]map[string]string, len(targets))
	for i, target := range targets {
		places[i] = l.config.Inventory[target].Labels
	}
	return access.Over(grants, access.ActionApprove, places) == nil
}

// groups are the members of every group that a token, a local user or the groups section names.
func (l *loaded) groups() map[string][]string {
	out := map[string][]string{}
	for group := range l.config.Groups {
		out[group] = l.config.Members(group)
	}
	for _, t := range l.config.Auth.Tokens {
		for _, group := range t.Groups {
			out[group] = l.config.Members(group)
		}
	}
	for _, u := range l.config.Auth.Users {
		for _, group := range u.Groups {
			out[group] = l.config.Members(group)
		}
	}
	if l.config.Auth.OIDC.On() { // which may know members of groups that only roles name
		for _, r := range l.config.Auth.Roles {
			for _, group := range r.Groups {
				out[group] = l.config.Members(group)
			}
		}
	}
	return out
}
