package systemd_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/executors/executorstest"
	"github.com/backout-io/backout/executors/systemd"
)

// systemctl stands in for the program, since tests run where systemd does not:
// it keeps a unit's ActiveState in a file. What it prints is what systemctl of
// systemd 252 prints.
const systemctl = `#!/bin/sh
dir=${0%/*}
for unit; do :; done
case "$*" in
show*)
	case $unit in missing.service) echo "LoadState=not-found"; echo "ActiveState=inactive"; echo "Result=success"; exit 0;; esac
	echo "Type=$(cat "$dir/type" 2>/dev/null || echo notify)"; echo "Result=$(cat "$dir/result" 2>/dev/null || echo success)"
	echo LoadState=loaded; echo "ActiveState=$(cat "$dir/$unit")";;
*" stop "*) echo stop >>"$dir/calls"; cat "$dir/after" 2>/dev/null >"$dir/$unit" || echo inactive >"$dir/$unit";;
*) echo start >>"$dir/calls"; cat "$dir/after" 2>/dev/null >"$dir/$unit" || echo active >"$dir/$unit";;
esac
`

type faked struct {
	backout.Host
	dir string
}

func fake(t *testing.T) faked {
	t.Helper()
	f := faked{executorstest.Local(t), t.TempDir()}
	f.put(t, "systemctl", systemctl)
	f.put(t, "web.service", "inactive\n")
	return f
}

func (f faked) put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (f faked) calls() int {
	data, _ := os.ReadFile(filepath.Join(f.dir, "calls"))
	return strings.Count(string(data), "\n")
}

func (f faked) swap(e backout.Exec) backout.Exec {
	if e.Argv[0] == "systemctl" {
		e.Argv = append([]string{filepath.Join(f.dir, "systemctl")}, e.Argv[1:]...)
	}
	return e
}

func (f faked) Start(ctx context.Context, id string, e backout.Exec) error {
	return f.Host.Start(ctx, id, f.swap(e))
}

func (f faked) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	return f.Host.Run(ctx, f.swap(e))
}

func TestConformance(t *testing.T) {
	for _, kind := range systemd.Kinds() {
		t.Run(kind.KindName(), func(t *testing.T) {
			f := fake(t)
			executorstest.Run(t, executorstest.Suite{
				Kind: kind, Host: f, Quick: `{"unit": "web.service"}`, Effects: f.calls,
				Bad: map[string]string{
					`{}`: "unit is empty", `{"unit": "nginx"}`: "nginx.service", `{"unit": "-x.service"}`: "not a unit", `{"unit": "a b.service"}`: "not a unit",
					`{"unit": "a/b.service"}`: "not a unit", `{"unit": "$(id).service"}`: "not a unit",
				},
			})
		})
	}
}

func kind(t *testing.T, name string) executors.Kind {
	t.Helper()
	for _, k := range systemd.Kinds() {
		if k.KindName() == name {
			return k
		}
	}
	t.Fatal(name)
	return executors.Kind{}
}

func TestStateAfterwardsDecides(t *testing.T) {
	for _, tt := range []struct {
		name, kind, after, oneshot, result string
		ok                                 bool
	}{
		{"active", "systemd.restart", "active", "", "", true},
		{"failed", "systemd.restart", "failed", "", "exit-code", false},
		{"gone again", "systemd.start", "inactive", "", "", false},
		{"oneshot done", "systemd.start", "inactive", "oneshot", "success", true},
		{"oneshot failed", "systemd.start", "inactive", "oneshot", "exit-code", false},
		{"stopped", "systemd.stop", "inactive", "", "", true},
		{"stop failed it", "systemd.stop", "failed", "", "signal", true},
		{"stop in vain", "systemd.stop", "active", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fake(t)
			f.put(t, "after", tt.after)
			if tt.oneshot != "" {
				f.put(t, "type", tt.oneshot)
			}
			if tt.result != "" {
				f.put(t, "result", tt.result)
			}
			k := kind(t, tt.kind)
			var out bytes.Buffer
			_, err := executorstest.Build(t, k, `{"unit": "web.service"}`).Execute(t.Context(), executorstest.Task(k, "a1"), f, &out)
			if (err == nil) != tt.ok || !strings.Contains(out.String(), "web.service is "+tt.after) {
				t.Errorf("%v %q, want ok %v", err, out.String(), tt.ok)
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	f := fake(t)
	k := kind(t, "systemd.restart")
	p, ok := executorstest.Build(t, k, `{"unit": "missing.service"}`).(backout.Preflighter)
	if !ok {
		t.Fatal("no preflight")
	}
	if v := p.Preflight(t.Context(), executorstest.Task(k, "p"), f); len(v) != 1 || !strings.Contains(v[0].Reason, "not-found") {
		t.Errorf("%+v", v)
	}
	if err := os.Remove(filepath.Join(f.dir, "systemctl")); err != nil {
		t.Fatal(err)
	}
	if v := p.Preflight(t.Context(), executorstest.Task(k, "p"), f); len(v) != 1 {
		t.Errorf("without systemctl: %+v", v)
	}
}
