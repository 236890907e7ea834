package app_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/app"
	"github.com/backout-io/backout/internal/bus"
	"github.com/backout-io/backout/internal/change"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/rollback"
	"github.com/backout-io/backout/internal/store"
)

// recordRelease makes TestReleaseData write the data of this release before it
// reads all: go test ./internal/app -run TestReleaseData -release 0.2
var recordRelease = flag.String("release", "", "record what this release stores in testdata/release-NAME")

// released is what a release made of what it had stored, beside the data itself.
type released struct {
	Changes   map[string]backout.Change   `json:"changes"`
	Rollbacks map[string]backout.Rollback `json:"rollbacks"`
	Posts     []string                    `json:"posts"`
	Waiting   []string                    `json:"waiting"`
	GivenUp   []string                    `json:"given_up"`
	Pause     store.PauseState            `json:"pause"`
	Outputs   map[string]string           `json:"outputs"`
}

// TestReleaseData: what every earlier release stored opens, means the same, and
// is gone on from.
func TestReleaseData(t *testing.T) {
	if *recordRelease != "" {
		record(t, filepath.Join("testdata", "release-"+*recordRelease))
	}
	releases, err := filepath.Glob(filepath.Join("testdata", "release-*"))
	if err != nil || len(releases) == 0 {
		t.Fatalf("no data of a release: %v", err)
	}
	for _, from := range releases {
		t.Run(filepath.Base(from), func(t *testing.T) {
			var want released
			text, err := os.ReadFile(filepath.Join(from, "states.json"))
			if err == nil {
				err = json.Unmarshal(text, &want)
			}
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			unpack(t, filepath.Join(from, "data.tar.gz"), filepath.Join(dir, "data"))
			then, now := tree(t, want), tree(t, stored(t, filepath.Join(dir, "data")))
			if diff := cmp.Diff(then, knownThen(then, now, 0)); diff != "" {
				t.Errorf("the states differ (-%s +now):\n%s", filepath.Base(from), diff)
			}
			goesOn(t, dir, want)
		})
	}
}

// tree is the value as JSON has it.
func tree(t *testing.T, v any) (out any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// goesOn starts a server on the data: it replays everything, and a change planned
// under the old release is cancelled under this one.
func goesOn(t *testing.T, dir string, want released) {
	t.Helper()
	c := serveRelease(t, dir)
	list, err := c.ListChanges(t.Context(), handlers.ChangeFilter{})
	if err != nil || len(list) != len(want.Changes) {
		t.Errorf("%d changes, %v, want %d", len(list), err, len(want.Changes))
	}
	before := want.Changes["CHG-planned"].Revision
	after, err := c.CancelChange(t.Context(), "CHG-planned", "not needed")
	if err != nil || after.State != backout.ChangeCancelled || after.Revision <= before {
		t.Errorf("cancelled: %s at %d, %v, want a record after %d", after.State, after.Revision, err, before)
	}
	entries, err := c.ChangeLog(t.Context(), "CHG-planned")
	if err != nil || len(entries) < 2 || entries[len(entries)-1].Seq != after.Revision {
		t.Errorf("log %+v, %v", entries, err)
	}
}

// stored reads a data directory without a server, and folds it.
func stored(t *testing.T, data string) released {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{DataDir: data})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{JS: b.JetStream(), Server: "reader", AlertsMaxBytes: 1 << 30})
	if err != nil {
		t.Fatal(errors.Join(err, b.Close()))
	}
	got := released{Changes: map[string]backout.Change{}, Rollbacks: map[string]backout.Rollback{}, Outputs: map[string]string{}}
	err = errors.Join(
		replay(t.Context(), func(ctx context.Context, end func()) error {
			return s.Changes.Follow(ctx, 0, func(e store.Entry) error {
				c := got.Changes[e.ID]
				for _, ev := range e.Record.Events {
					c = change.Apply(c, e.Seq, e.Record.At, ev)
				}
				got.Changes[e.ID] = c
				return nil
			}, end)
		}),
		replay(t.Context(), func(ctx context.Context, end func()) error {
			return s.Rollbacks.Follow(ctx, 0, func(e store.Entry) error {
				got.Rollbacks[e.ID] = rollback.Fold(got.Rollbacks[e.ID], e.Seq, e.Record)
				for _, ev := range e.Record.Events {
					if done, ok := ev.(backout.StepDone); ok {
						out, err := s.Artifacts.GetOutput(ctx, done.AttemptID)
						if err != nil {
							return err
						}
						got.Outputs[done.AttemptID] = string(out)
					}
				}
				return nil
			}, end)
		}),
		replay(t.Context(), func(ctx context.Context, end func()) error {
			return s.Alerts.Follow(ctx, time.Time{}, func(_ store.Position, _ bool, p store.Post) error {
				got.Posts = append(got.Posts, p.Kind+" of "+p.Source+": "+string(p.Body))
				return nil
			}, end)
		}))
	got.Pause, _ = s.Control.Pause(t.Context())
	waiting, err1 := s.Outbox.Waiting(t.Context())
	givenUp, err2 := s.Outbox.GivenUp(t.Context())
	got.Waiting, got.GivenUp = names(waiting), names(givenUp)
	if err := errors.Join(err, err1, err2, s.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	return got
}

func replay(ctx context.Context, follow func(ctx context.Context, end func()) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := follow(ctx, cancel); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func names(list []store.Pending) []string {
	out := []string{}
	for _, p := range list {
		out = append(out, p.Channel+" "+p.Notice.ID)
	}
	slices.Sort(out)
	return out
}

const releaseToken = "-token-0123456789abcdef"

// releaseFiles writes the config of the recorded server. hook takes notices,
// everything else is refused, and the relay of "gone" gives up at once.
func releaseFiles(t testing.TB, dir, hook string) {
	t.Helper()
	step := func(name, approval, argv string) string {
		return `
  - name: ` + name + `
    author: paul
    audience: [ops]
    verify: {every: 100ms, hold_for: 200ms, checks: [{name: fine, command: {argv: ["true"]}}]}
    levels:
      - {name: L1, summary: uninstall, escalate_after: 10m, ` + approval + `, audience: [ops, lost], steps: [{name: undo, uses: command, with: {argv: [` + argv + `]}, timeout: 5m}]}
`
	}
	targets := ""
	for _, name := range []string{"open", "good", "bad", "slow", "held", "ask", "climb", "aborted", "auto", "shadow"} {
		targets += "  - {name: web-" + name + ", transport: local, labels: {team: web}}\n"
	}
	tokens := ""
	for _, name := range []string{"ann", "bob", "carl"} {
		tokens += "    - {name: " + name + ", groups: [sre], token: {file: " + name + ".token}}\n"
	}
	files := map[string]string{
		"plans.yaml": "plans:" + step("good", "approval: none", `echo, "it is back"`) + step("bad", "approval: none", `"false"`) +
			step("slow", "approval: none", `sleep, "5"`) + step("ask", "approval: {mode: required, groups: [sre], votes: 2, expires: 12h}", `"true"`) +
			step("climb", "approval: none", `"false"`) + `      - {name: L2, approval: {mode: required, groups: [sre], votes: 2, expires: 12h}, audience: [ops], steps: [{name: undo, uses: command, with: {argv: ["true"]}}]}
`,
		"rules.yaml": `groups:
  - name: web
    target_label: instance
    rules:
      - {rule: Auto, match: [severity="critical"], when: "true", mode: auto, scope: target}
      - {rule: Shadow, match: [severity="warning"], when: "true", mode: shadow, scope: target}
`,
		"inventory.yaml": "targets:\n" + targets,
		"backout.yaml": `listen: 127.0.0.1:0
data_dir: data
server_name: recorded
intake:
  tokens: [{name: alertmanager, token: {file: intake.token}}]
auth:
  tokens:
` + tokens + `rules: [rules.yaml]
plans: [plans.yaml]
inventory: [inventory.yaml]
channels:
  hook: {type: webhook, url: "` + hook + `/taken", secret: {file: hook.token}}
  stuck: {type: webhook, url: "` + hook + `/refused", secret: {file: hook.token}}
  gone: {type: webhook, url: "` + hook + `/gone", secret: {file: hook.token}}
audiences: {ops: [hook], lost: [stuck, gone]}
`,
	}
	for _, name := range []string{"ann", "bob", "carl", "intake", "hook"} {
		files[name+".token"] = name + releaseToken
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serveRelease runs a server on dir/data until the test ends, and returns ann's
// client of it.
func serveRelease(t testing.TB, dir string) *client.Client {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/refused":
			w.WriteHeader(http.StatusInternalServerError)
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(hook.Close)
	releaseFiles(t, dir, hook.URL)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{
		Config: filepath.Join(dir, "backout.yaml"), Listener: listener, Attempts: filepath.Join(dir, "attempts"), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(errors.Join(err, listener.Close()))
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return clientAs(t, "http://"+a.Addr(), "ann")
}

func clientAs(t testing.TB, url, name string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: url, Token: backout.SecretValue(name + releaseToken)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// unpack writes what pack has packed.
func unpack(t *testing.T, file, to string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(zip); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(to, filepath.FromSlash(head.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// pack puts a directory's files into one, and nothing of the machine it is on.
func pack(t *testing.T, dir, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	zip, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	w := tar.NewWriter(zip)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		head := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o600, Size: int64(len(data))}
		if err := w.WriteHeader(head); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err := errors.Join(err, w.Close(), zip.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// knownThen leaves out of now the fields that the older release did not have: what
// it knew must be as it was. The first two levels are lists and ids, not fields.
func knownThen(then, now any, depth int) any {
	switch now := now.(type) {
	case map[string]any:
		was, ok := then.(map[string]any)
		if !ok {
			return now
		}
		out := map[string]any{}
		for key, value := range now {
			if old, known := was[key]; known || depth < 2 {
				out[key] = knownThen(old, value, depth+1)
			}
		}
		return out
	case []any:
		was, ok := then.([]any)
		if !ok || len(was) != len(now) {
			return now
		}
		out := make([]any, len(now))
		for i := range now {
			out[i] = knownThen(was[i], now[i], depth+1)
		}
		return out
	}
	return now
}
