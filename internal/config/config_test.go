package config

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/executors"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/plugin"
	"github.com/backout-io/backout/notifier"
)

var update = flag.Bool("update", false, "write the golden files")

type commandSection struct {
	Argv []string          `json:"argv"`
	Env  map[string]string `json:"env,omitempty"`
	// Password has no omitzero on purpose: a secret that is not given must
	// survive the canonical JSON.
	Password backout.Secret `json:"password"`
}

func (c *commandSection) Validate() error {
	if len(c.Argv) == 0 {
		return errors.New("argv: empty; name the program")
	}
	return nil
}

type chatSection struct {
	Channel string         `json:"channel"`
	Token   backout.Secret `json:"token"`
}

type httpSection struct {
	URL          string           `json:"url"`
	ExpectStatus int              `json:"expect_status,omitempty"`
	Timeout      backout.Duration `json:"timeout,omitempty"`
}

// fakeKinds are plug-ins of every sort, small enough to read.
func fakeKinds(t *testing.T) Kinds {
	t.Helper()
	command := executors.Define("command", "Runs a command.", func(context.Context, commandSection) (backout.Executor, error) { return nil, nil })
	restore := executors.Define("snapshot.restore", "Restores a snapshot.", func(context.Context, struct {
		Name string `json:"name,omitempty"`
	},
	) (backout.Executor, error) {
		return nil, nil
	})
	restore.Destructive, restore.Loses, restore.OnOverdue, restore.Reboots = true, "data written since the snapshot", backout.OverdueWait, true
	command.OnOverdue = backout.OverdueStop
	undo := executors.Define("undo", "Undoes the patch.", func(context.Context, struct{}) (backout.Executor, error) { return nil, nil })
	undo.WantsDelta = true
	ex, err := executors.NewRegistry(command, restore, undo)
	if err != nil {
		t.Fatal(err)
	}
	desk := notifier.Define("desk", "Keeps records.", func(context.Context, struct{}) (backout.Notifier, error) { return nil, nil })
	desk.Records = true
	no, err := notifier.NewRegistry(
		desk,
		notifier.Define("chat", "Posts to a chat.", func(context.Context, chatSection) (backout.Notifier, error) { return nil, nil }),
		notifier.Define("mail", "Sends mail.", func(context.Context, struct {
			To []string `json:"to"`
		},
		) (backout.Notifier, error) {
			return nil, nil
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := plugin.NewRegistry[checks.Kind](
		plugin.Define("http", "Asks a URL.", func(context.Context, httpSection) (checks.Checker, error) { return nil, nil }),
		plugin.Define("unit", "Looks at a unit.", func(context.Context, struct {
			Name string `json:"name"`
		},
		) (checks.Checker, error) {
			return nil, nil
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return Kinds{Executors: ex, Notifiers: no, Checks: ch}
}

// extract writes the archive's files into a new directory and goes there. What
// lies in a directory named secrets is private, as the server wants it.
func extract(t *testing.T, archive string) (*txtar.Archive, string) {
	t.Helper()
	parsed, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range parsed.Files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(f.Name, "secrets/") {
			mode = 0o600
		}
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return parsed, dir
}

// Each archive in testdata/bad is a config with its problems in problems.txt;
// -update writes them anew.
func TestBadFiles(t *testing.T) {
	const golden = "problems.txt"
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(archives) < 30 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	for _, archive := range archives {
		archive, err := filepath.Abs(archive)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			parsed, dir := extract(t, archive)
			cfg, problems := Load("backout.yaml", fakeKinds(t))
			if (cfg == nil) != (problems.Fatal() != nil) {
				t.Errorf("config %v with problems %v", cfg != nil, problems)
			}
			got := strings.ReplaceAll(problems.Error(), dir, "$DIR") + "\n"
			last := len(parsed.Files) - 1
			if *update {
				if last < 0 || parsed.Files[last].Name != golden {
					parsed.Files = append(parsed.Files, txtar.File{Name: golden})
					last++
				}
				parsed.Files[last].Data = []byte(got)
				if err := os.WriteFile(archive, txtar.Format(parsed), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if parsed.Files[last].Name != golden {
				t.Fatalf("no %s: run with -update", golden)
			}
			if diff := cmp.Diff(string(parsed.Files[last].Data), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
