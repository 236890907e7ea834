package demo

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed config
var templates embed.FS

// Values are what the config templates leave open.
type Values struct {
	Listen, DataDir, HookURL string
	// LastAfter is how long the last level has, EscalateAfter the one before it.
	LastAfter string
	// ExternalURL is how people reach the server; empty leaves it out.
	ExternalURL string
	// People sign in by name and password; none means that ann has a token.
	People []Person
	// Veto is how long L2 waits for a no; empty means that it starts by itself.
	Veto string
	// Watchdog tells that an alert always fires.
	Watchdog                                     bool
	Every, HoldFor, EscalateAfter, Timeout, Port string
	Bin, Target, Address, Transport              string
	// Secrets is the directory of the secrets' files; empty means that systemd
	// passes them as credentials.
	Secrets string
	// KnownHosts is the file of host keys; empty means that no target is reached
	// by SSH.
	KnownHosts string
	// SlackURL is the look-alike's Web API; empty leaves Slack out.
	SlackURL string
}

// Secret is how the config names a secret.
func (v Values) Secret(name string) string {
	if v.Secrets == "" {
		return "{credential: " + name + "}"
	}
	return "{file: " + filepath.Join(v.Secrets, name) + "}"
}

// RealTimes are the values of the example config in deploy/example.
func RealTimes() Values {
	return Values{
		Listen: "127.0.0.1:8420", DataDir: "/var/lib/backout", HookURL: "https://hooks.example.com/backout",
		KnownHosts: "/etc/backout/known_hosts",
		Every:      "15s", HoldFor: "2m", EscalateAfter: "30m", LastAfter: "30m", Timeout: "20m", Port: "8080",
		Bin: "/usr/local/lib/web-shop", Target: "web-1", Address: "web-1.example.com", Transport: "ssh",
	}
}

// files are the templates by the name of what they become.
var files = map[string]string{
	"backout.yaml":             "config/backout.yaml.tmpl",
	"plans/web-shop.yaml":      "config/plan.yaml.tmpl",
	"rules/web-tier.yaml":      "config/rules.yaml.tmpl",
	"rules/web-tier_test.yaml": "config/rules_test.yaml.tmpl",
	"inventory/web-tier.yaml":  "config/inventory.yaml.tmpl",
}

// Render makes the config's files, by name.
func Render(v Values) (map[string][]byte, error) {
	out := make(map[string][]byte, len(files))
	for name, source := range files {
		t, err := template.ParseFS(templates, source)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", source, err)
		}
		var b bytes.Buffer
		if err := t.Execute(&b, v); err != nil {
			return nil, fmt.Errorf("render %s: %w", source, err)
		}
		out[name] = append(bytes.TrimSpace(b.Bytes()), '\n')
	}
	return out, nil
}

// write puts the config's files under dir.
func write(dir string, v Values) error {
	rendered, err := Render(v)
	if err != nil {
		return err
	}
	for name, data := range rendered {
		if err := writeFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		return fmt.Errorf("write demo file: %w", err)
	}
	return nil
}
