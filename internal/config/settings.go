package config

import (
	"os"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/webconfig"
)

// Settings are the server's own settings, as backout.yaml has them.
type Settings struct {
	Listen      string `yaml:"listen" doc:"Address and port to listen on. Anything but a loopback address needs TLS, auth.tokens, and a sender in intake or web_config. Default 127.0.0.1:8420."`
	ExternalURL string `yaml:"external_url" doc:"How people reach this server, for links in notices. Any name but a loopback one needs auth.tokens, and a sender in intake or web_config, with every listen. Default: made of listen."`
	TLS         TLS    `yaml:"tls" doc:"Certificate to serve with."`
	// WebConfig is absolute; Web is what the file says, nil without one.
	WebConfig  string          `yaml:"web_config" doc:"Web config file, as Prometheus and Alertmanager have one: the certificate to serve with, and the client certificates and passwords of senders of alerts. Read again when it changes."`
	Web        *webconfig.File `yaml:"-" json:"-"`
	DataDir    string          `yaml:"data_dir" doc:"Where the log is kept. Default ./backout-data beside this file."`
	ServerName string          `yaml:"server_name" doc:"Name of this server in the log. Default: the host name."`
	NATS       NATS            `yaml:"nats" doc:"An own NATS instead of the embedded one."`
	Auth       Auth            `yaml:"auth" doc:"Who may use the API, and how people sign in."`
	// Groups adds members to groups beside those that tokens name.
	Groups        map[string][]string `yaml:"groups" doc:"Members of groups, beside those that auth.tokens names."`
	Intake        Intake              `yaml:"intake" doc:"How alerts come in."`
	RuleGlobs     []string            `yaml:"rules" doc:"Rule files, relative to this file; * is allowed and leaves out *_test.yaml."`
	RuleTestGlobs []string            `yaml:"rule_tests" doc:"Files with tests of the rules, relative to this file; * is allowed. The server does not read them."`
	PlanGlobs     []string            `yaml:"plans" doc:"Plan files, relative to this file; * is allowed."`
	TargetGlobs   []string            `yaml:"inventory" doc:"Inventory files, relative to this file; * is allowed."`
	TemplateGlobs []string            `yaml:"templates" doc:"Notice templates, relative to this file; * is allowed."`
	Alertmanagers []Endpoint          `yaml:"alertmanagers" doc:"Asked for active alerts while a rollback is verified."`
	Monitoring    Monitoring          `yaml:"monitoring" doc:"A dead-man's switch: when this alert is missing, nothing counts as recovered."`
	Prometheus    Endpoint            `yaml:"prometheus" doc:"Asked by promql checks and by prom() in rules."`
	SSH           SSH                 `yaml:"ssh" doc:"How targets with transport ssh are reached."`
	// ReadinessEvery is how often the way back of live changes is looked at.
	ReadinessEvery backout.Duration `yaml:"readiness_every" doc:"How often it is looked whether the way back of open changes would still work. At least 10s. Default 5m."`
	// Audiences are lists of channel names.
	Audiences map[string][]string `yaml:"audiences" doc:"Which channels tell whom."`
	// AudienceKinds says what kind of people audiences are; see [Settings.KindOf].
	AudienceKinds map[string]string `yaml:"audience_kinds" enum:"deciders,responders,stakeholders,record" doc:"What kind of people an audience is, which chooses the words. Default: what it is called by, or else responders."`
	Retention     Retention         `yaml:"retention" doc:"How long alerts are kept."`
	Promotion     Promotion         `yaml:"promotion" doc:"What rules need before they may act."`
	ITSM          ITSM              `yaml:"itsm" doc:"The ITSM system whose record of a change the gate asks for. Without it the gate asks for none."`
	Exposure      Exposure          `yaml:"exposure" doc:"What is known of the vulnerabilities that a rollback reopens."`
	Runners       Runners           `yaml:"runners" doc:"Runners near the targets, and what they are told apart from strangers by."`
}

// Exposure says what is known of vulnerabilities.
type Exposure struct {
	// KnownExploited is absolute.
	KnownExploited string `yaml:"known_exploited" doc:"CISA's catalog of known exploited vulnerabilities, in JSON, for known_exploited_vote in plans. Read at the start and at a reload."`
}

// TLS is the certificate to serve with; both files or none. Paths are absolute.
type TLS struct {
	CertFile string `yaml:"cert_file" doc:"PEM file with the certificate and its chain."`
	KeyFile  string `yaml:"key_file" doc:"PEM file with the private key."`
}

// On tells whether TLS is configured.
func (t TLS) On() bool { return t.CertFile != "" && t.KeyFile != "" }

// NATS says where the log lives; an empty URL is the embedded server.
type NATS struct {
	URL         string         `yaml:"url" doc:"nats:// or tls:// addresses, with commas between; empty means embedded."`
	Credentials backout.Secret `yaml:"credentials" doc:"Content of a NATS .creds file."`
	// TLSCA is absolute.
	TLSCA    string `yaml:"tls_ca" doc:"PEM file with the CA of the NATS servers."`
	Replicas int    `yaml:"replicas" doc:"Copies of each stream: 1, 3 or 5. Default 1."`
}

// Auth names the users of the API.
type Auth struct {
	Tokens []Token     `yaml:"tokens" doc:"API users. A vote carries the name and the groups."`
	Roles  []RoleGrant `yaml:"roles" doc:"Who may do what, and where. With any, nobody may do what none gives; without, holders of auth.tokens may do everything."`
	OIDC   OIDC        `yaml:"oidc" doc:"OpenID Connect provider where people sign in."`
	// Users are for when the provider is down.
	Users    []LocalUser `yaml:"users" doc:"People who sign in with a password, for when the provider is down."`
	Sessions Sessions    `yaml:"sessions" doc:"How long a login lasts."`
	// RememberGroups bounds what comes without a session.
	RememberGroups backout.Duration `yaml:"remember_groups" doc:"How long after a login what somebody does in Slack, or an API token that they made, counts, with the groups that the provider told then. 1h to 90d. Default 7d."`
}

// Token is a bearer token and who holds it.
type Token struct {
	Name   string         `yaml:"name" required:"true" doc:"Who holds the token."`
	Groups []string       `yaml:"groups" doc:"Groups whose votes this user gives."`
	Token  backout.Secret `yaml:"token" required:"true" doc:"The token itself, kept elsewhere."`
}

// Intake bounds the alerts that come in.
type Intake struct {
	Tokens     []IntakeToken `yaml:"tokens" doc:"Senders of alerts."`
	Senders    []Sender      `yaml:"senders" doc:"Senders of alerts that sign their requests."`
	MaxBody    Size          `yaml:"max_body" doc:"Largest request; above it 413. At most 8128KiB. Default 4MiB."`
	MaxWaiting int           `yaml:"max_waiting" doc:"Requests that may wait for the disk; above it 503. Default 1024."`
}

// IntakeToken is a bearer token of a sender of alerts.
type IntakeToken struct {
	Name  string         `yaml:"name" required:"true" doc:"What the log calls the sender."`
	Token backout.Secret `yaml:"token" required:"true" doc:"The token itself, kept elsewhere."`
}

// Endpoint is an HTTP API of somebody else. Token is sent as a bearer token when
// set.
type Endpoint struct {
	URL   string         `yaml:"url" doc:"http:// or https:// address."`
	Token backout.Secret `yaml:"token" doc:"Bearer token to send."`
}

// SSH says how hosts are reached. Host keys are pinned in KnownHosts; there is
// no trust on first use. KnownHosts is absolute.
type SSH struct {
	User           string           `yaml:"user" doc:"User to log in as."`
	Key            backout.Secret   `yaml:"key" doc:"Private key, kept elsewhere."`
	KnownHosts     string           `yaml:"known_hosts" doc:"File with the targets' host keys."`
	Port           int              `yaml:"port" doc:"Default 22."`
	ConnectTimeout backout.Duration `yaml:"connect_timeout" doc:"Default 10s."`
	Sudo           bool             `yaml:"sudo" doc:"Run commands through sudo -n."`
	Armed          int              `yaml:"armed" doc:"How many targets of open changes are kept connected. Default 2000; -1 keeps none."`
}

// Retention says how long alerts stay replayable.
type Retention struct {
	Alerts         backout.Duration `yaml:"alerts" doc:"At least 1h. Default 14d."`
	AlertsMaxBytes Size             `yaml:"alerts_max_bytes" doc:"Default 1GiB."`
}

// Promotion says how a rule earns its right to act.
type Promotion struct {
	Required bool `yaml:"required" doc:"A rule only records until somebody promotes it, whatever its file says; that is the most it may do. Default false: its file counts."`
	// Agreed changes at Precision are what a rule needs to be promoted to auto.
	Agreed    int     `yaml:"agreed" doc:"How many changes must have agreed with a rule before it may be promoted to auto. Default 20."`
	Precision float64 `yaml:"precision" doc:"The share of changes that agreed with it, of those that agreed or did not, which it needs for that. 0 to 1. Default 0.95."`
}

// Runners says which sites have runners of their own. Without sites a target's
// site is a label like others.
type Runners struct {
	SigningKey backout.Secret `yaml:"signing_key" doc:"Key that signs what runners are told, from backout runner keygen; the same for all servers."`
	Sites      []string       `yaml:"sites" doc:"Sites whose targets are reached by runners there."`
	BuiltIn    []string       `yaml:"built_in" doc:"Sites whose targets this server reaches itself, like those without a site."`
}

// At tells whether the site has runners of its own.
func (r Runners) At(site string) bool { return slices.Contains(r.Sites, site) }

// defaults are the settings of an empty file, but for the paths.
func defaults() Settings {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "backout"
	}
	return Settings{
		Listen:     "127.0.0.1:8420",
		DataDir:    "backout-data",
		ServerName: host,
		NATS:       NATS{Replicas: 1},
		Auth: Auth{
			OIDC:     OIDC{Scopes: []string{"openid", "profile", "email", "groups"}, NameClaim: "preferred_username", GroupsClaim: "groups"},
			Sessions: Sessions{Lifetime: backout.Duration(12 * time.Hour), Idle: backout.Duration(2 * time.Hour)}, RememberGroups: backout.Duration(7 * 24 * time.Hour),
		},
		Intake:         Intake{MaxBody: 4 << 20, MaxWaiting: 1024},
		SSH:            SSH{Port: 22, ConnectTimeout: backout.Duration(10 * time.Second)},
		Monitoring:     Monitoring{MissingAfter: backout.Duration(10 * time.Minute)},
		ReadinessEvery: backout.Duration(5 * time.Minute),
		Promotion:      Promotion{Agreed: 20, Precision: 0.95},
		Retention:      Retention{Alerts: backout.Duration(14 * 24 * time.Hour), AlertsMaxBytes: 1 << 30},
	}
}
