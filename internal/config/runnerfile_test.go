package config

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
)

func goodKey(text string) error {
	if text != "good" {
		return errors.New("not a server key")
	}
	return nil
}

// runnerFile loads a file of this text.
func runnerFile(t *testing.T, text string) (*Runner, string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for name, data := range map[string]string{"runner.yaml": text, "creds": "creds-ZZZ\n", "known_hosts": ""} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, problems := LoadRunner("runner.yaml", fakeKinds(t), goodKey)
	if problems == nil {
		return r, ""
	}
	return r, strings.ReplaceAll(problems.Error(), dir, "$DIR")
}

const leastRunner = "name: fra-1\nsite: fra\nnats: {url: \"nats://n:4222\"}\nserver_keys: [good]\n"

func TestRunnerFile(t *testing.T) {
	r, problems := runnerFile(t, leastRunner)
	if r.Executors != nil || r.Checks != nil {
		t.Errorf("executors %#v, checks %#v, want all", r.Executors, r.Checks)
	}
	if problems != "" || r.MaxSteps != 32 || r.SSH.Port != 22 || r.SSH.ConnectTimeout != backout.Duration(10*time.Second) {
		t.Errorf("%+v %s", r, problems)
	}
	r, problems = runnerFile(t, `name: fra-1
site: fra
nats: {url: "tls://a:4222,tls://b:4222", credentials: {file: creds}}
server_keys: [good, good]
ssh: {user: backout, key: {file: creds}, known_hosts: known_hosts, port: 2222, sudo: true}
prometheus: {url: "http://prom:9090"}
max_steps: 5
executors: [command]
checks:
`)
	if r.Executors == nil || r.Checks == nil || len(r.Checks) != 0 {
		t.Errorf("executors %#v, checks %#v, want one and none", r.Executors, r.Checks)
	}
	if problems != "" || r.NATS.Credentials.Reveal() != "creds-ZZZ" || !strings.HasSuffix(r.SSH.KnownHosts, "/known_hosts") || r.MaxSteps != 5 {
		t.Errorf("%+v %s", r, problems)
	}
}

func TestRunnerFileIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                           "the file says nothing",
		leastRunner + "max_step: 1\n":                                `runner.yaml:5:1: unknown key "max_step": did you mean "max_steps"?`,
		leastRunner + "max_steps: 0\n":                               "runner.yaml:5:12: max_steps is too small: give at least 1",
		leastRunner + "max_steps: 100000\n":                          "runner.yaml:5:12: max_steps: 100000: want 1 to 10000",
		leastRunner + "executors: [comand]\n":                        `runner.yaml:5:13: executor "comand" is not known: backout kinds lists them`,
		leastRunner + "checks: [unti]\n":                             `runner.yaml:5:10: check "unti" is not known: backout kinds lists them`,
		leastRunner + "ssh: {key: {file: nothing}}\n":                "nothing",
		leastRunner + "ssh: {port: 70000}\n":                         "want 1 to 65535",
		leastRunner + "prometheus: {url: x}\n":                       "runner.yaml:5:19: url",
		strings.Replace(leastRunner, "good", "bad", 1):               "runner.yaml:4:15: not a server key",
		strings.Replace(leastRunner, "[good]", "[]", 1):              "no server key",
		strings.Replace(leastRunner, "fra-1", "fra.1", 1):            `"fra.1"`,
		strings.Replace(leastRunner, "nats://n:4222", "n", 1):        "runner.yaml:3:13: url",
		strings.Replace(leastRunner, "nats://n:4222", "", 1):         "nats.url is empty",
		strings.Replace(leastRunner, "url:", "replicas: 3, url:", 1): `unknown key "replicas"`,
	} {
		r, problems := runnerFile(t, text)
		if r != nil || !strings.Contains(problems, want) {
			t.Errorf("%s\nsays %s\nwant %s", text, problems, want)
		}
	}
}

// TestSitesAreLabelsWithoutRunners: who has no runners need not list sites.
func TestSitesAreLabelsWithoutRunners(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, data := range map[string]string{"backout.yaml": "inventory: [i.yaml]\n", "i.yaml": "targets: [{name: a, site: anywhere, transport: local}]\n"} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, problems := Load("backout.yaml", fakeKinds(t))
	if problems != nil {
		t.Fatal(problems)
	}
	if diff := cmp.Diff("anywhere", cfg.Inventory["a"].Site); diff != "" {
		t.Error(diff)
	}
}
