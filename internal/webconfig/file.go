package webconfig

import (
	"crypto/tls"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/strictyaml"
)

// File is what a web config file says. It is not changed after [Load], and safe for
// concurrent use.
type File struct {
	// tls is nil when the file has no certificate to serve with.
	tls     *tls.Config
	clients clients
	// users are the hashes by user name, names the user names, sorted.
	users  map[string]backout.Secret
	names  []string
	stamps []stamp
}

// TLS tells whether the file has a certificate to serve with.
func (f *File) TLS() bool { return f != nil && f.tls != nil }

// Any tells whether anybody could send alerts by what the file says.
func (f *File) Any() bool { return f != nil && (len(f.users) > 0 || f.clients.roots != nil) }

// Users lists the names that have a password, sorted.
func (f *File) Users() []string { return slices.Clone(f.names) }

// Files lists the files that were read, the web config file itself first.
func (f *File) Files() []string {
	var names []string
	for _, s := range f.stamps {
		names = append(names, s.path)
	}
	return names
}

// document is the file, key by key.
type document struct {
	TLS   section           `yaml:"tls_server_config"`
	HTTP  httpServer        `yaml:"http_server_config"`
	Users map[string]string `yaml:"basic_auth_users"`
	Rate  struct {
		Burst    int    `yaml:"burst"`
		Interval string `yaml:"interval"`
	} `yaml:"rate_limit"`
}

type section struct {
	Cert       string   `yaml:"cert"`
	Key        string   `yaml:"key"`
	ClientCA   string   `yaml:"client_ca"`
	CertFile   string   `yaml:"cert_file"`
	KeyFile    string   `yaml:"key_file"`
	CAFile     string   `yaml:"client_ca_file"`
	ClientAuth string   `yaml:"client_auth_type"`
	Allowed    []string `yaml:"client_allowed_sans"`
	Ciphers    []string `yaml:"cipher_suites"`
	Curves     []string `yaml:"curve_preferences"`
	MinVersion string   `yaml:"min_version"`
	MaxVersion string   `yaml:"max_version"`
	// PreferServer has had no effect since Go 1.17; the format takes it still.
	PreferServer bool `yaml:"prefer_server_cipher_suites"`
}

type httpServer struct {
	HTTP2   bool              `yaml:"http2"`
	Headers map[string]string `yaml:"headers"`
}

// loader is one run of [Load].
type loader struct {
	dir      string
	root     strictyaml.Section
	file     *File
	problems backout.Problems
}

func (l *loader) problem(what, fix string, path ...any) {
	l.problems = append(l.problems, l.root.At(path...).Problem(what, fix))
}

func (l *loader) warn(what, fix string, path ...any) {
	l.problems = append(l.problems, l.root.At(path...).Warning(what, fix))
}

// Load reads the file, and the certificates that it names relative to itself. The
// problems are sorted by place and show no secret; the file is nil when one of them is
// more than a warning. Each hash is computed once, which takes its time.
func Load(path string) (*File, backout.Problems) {
	f, problems := load(path)
	if problems.Fatal() != nil {
		return nil, problems
	}
	return f, problems
}

// load is Load; a file with problems has its stamps still.
func load(path string) (*File, backout.Problems) {
	l := &loader{dir: filepath.Dir(path), file: &File{}}
	data, err := l.read(path)
	if err != nil {
		return l.file, backout.Problems{{File: path, What: err.Error()}}
	}
	doc, problems := strictyaml.Parse(path, data)
	if problems != nil {
		return l.file, redacted(problems)
	}
	l.root = doc.Root()
	d := document{HTTP: httpServer{HTTP2: true}}
	if l.problems = doc.Decode(&d); l.problems == nil {
		l.http(d)
		l.tls(d.TLS, d.HTTP)
		l.users(d.Users)
	}
	l.problems.Sort()
	return l.file, redacted(l.problems)
}

// secretText is a bcrypt hash, or a private key from its first line on.
var secretText = regexp.MustCompile(`\$2[abxy]?\$[0-9]+\$[./A-Za-z0-9]*|-----BEGIN [A-Z ]*PRIVATE KEY(?s:.*)`)

// redacted takes out what a decoder quotes of a value that stands in the wrong place.
func redacted(problems backout.Problems) backout.Problems {
	for i := range problems {
		problems[i].What = secretText.ReplaceAllString(problems[i].What, "[redacted]")
		problems[i].Fix = secretText.ReplaceAllString(problems[i].Fix, "[redacted]")
	}
	return problems
}

func (l *loader) http(d document) {
	if len(d.HTTP.Headers) > 0 {
		l.problem("headers: the server sets its own headers with every answer", "remove it, and let a proxy add what is missing", "http_server_config", "headers")
	}
	if l.root.Has("rate_limit") {
		l.problem("rate_limit: it would answer 429, at which Alertmanager gives an alert up", "remove it: intake.max_waiting and intake.max_body bound what comes in", "rate_limit")
	}
}
