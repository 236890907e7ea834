package e2e

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/auth/authtest"
)

// onDuty is somebody of the provider: with a browser, a command line and an account in
// Slack.
type onDuty struct {
	t              testing.TB
	name, password string
	slack          string
	client         *http.Client
	// at is where the browser stands, body what it shows.
	at   *url.URL
	body string
	// home keeps what the command line is signed in with.
	home string
}

func newOnDuty(t testing.TB, name, slack string) *onDuty {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &onDuty{t: t, name: name, password: "the password of " + name, slack: slack, client: &http.Client{Jar: jar, Timeout: 20 * time.Second}, home: t.TempDir()}
}

// known is the person as the provider has them.
func (p *onDuty) known() authtest.Person {
	return authtest.Person{Name: p.name, Password: p.password, Email: p.name + "@example.org", Groups: []string{"sre"}}
}

// visit asks for a page, or posts a form, and wants these words on what comes.
func (p *onDuty) visit(address string, form url.Values, words string) {
	p.t.Helper()
	method, content := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, content = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, address, content)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.at, p.body = resp.Request.URL, string(body)
	if !strings.Contains(p.body, words) {
		p.t.Fatalf("%s sees no %q at %s: %s\n%s", p.name, words, p.at, resp.Status, body)
	}
}

// field is the value of a hidden field of the page.
func (p *onDuty) field(name string) string {
	p.t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(p.body)
	if m == nil {
		p.t.Fatalf("%s has no field %s:\n%s", p.at, name, p.body)
	}
	return m[1]
}

// link opens the link to a Slack account, signs in at the provider, and confirms.
func (p *onDuty) link(link string) {
	p.t.Helper()
	p.visit(link, nil, "Sign in at")
	server := p.at.Scheme + "://" + p.at.Host
	p.visit(server+"/login/start?"+url.Values{"next": {p.at.Query().Get("next")}}.Encode(), nil, "password")
	form := url.Values{"id": {p.field("id")}, "username": {p.name}, "password": {p.password}}
	p.visit(p.at.Scheme+"://"+p.at.Host+p.at.Path, form, "Only go on if you asked")
	form = url.Values{"form": {p.field("form")}, "token": {p.field("token")}, "user": {p.slack}}
	p.visit(server+"/account/slack", form, " linked</strong> What the Slack account")
}

// login signs the command line in by the device flow.
func (p *onDuty) login(srv *server) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), binary(p.t), "login")
	cmd.Env = p.env(srv)
	running := start(p.t, cmd)
	var m []string
	eventually(p.t, 20*time.Second, "the command shows a code", func() error {
		m = regexp.MustCompile(`open (\S+)\s+and give the code  (\S+)`).FindStringSubmatch(running.said.String())
		return notYet(m != nil)
	})
	if err := authtest.Approve(m[1], m[2], p.name, p.password); err != nil {
		p.t.Fatal(err)
	}
	if code := running.wait(p.t, 30*time.Second); code != 0 {
		p.t.Fatalf("login: exit code %d: %s", code, running.said.String())
	}
}

func (p *onDuty) env(srv *server) []string {
	return []string{"BACKOUT_SERVER=" + srv.url, "XDG_CONFIG_HOME=" + p.home, "PATH=/usr/bin:/bin", "HOME=" + p.home}
}

// cli runs the command line with the person's session.
func (p *onDuty) cli(srv *server, args ...string) (code int, said string) {
	p.t.Helper()
	code, stdout, stderr := run(p.t, p.env(srv), args...)
	return code, stdout + stderr
}

func (p *onDuty) mustCLI(srv *server, args ...string) string {
	p.t.Helper()
	code, said := p.cli(srv, args...)
	if code != 0 {
		p.t.Fatalf("backout %s: exit code %d\n%s", strings.Join(args, " "), code, said)
	}
	return said
}
