package snapper

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// programs is a target whose snapper is a script.
type programs struct {
	backout.Host
	dir string
}

func (p programs) Run(ctx context.Context, e backout.Exec) (backout.ExecResult, error) {
	cmd := exec.CommandContext(ctx, e.Argv[0], e.Argv[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+p.dir+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return backout.ExecResult{Stdout: out, Stderr: exit.Stderr, ExitCode: exit.ExitCode()}, nil
	}
	return backout.ExecResult{Stdout: out}, err
}

func withSnapper(t *testing.T, list string) programs {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\ncase \"$*\" in\n--version) echo snapper 0.10.4 ;;\n--help) echo --jsonout ;;\n*list*) " + list + " ;;\n*) echo 'SUBVOLUME | /tmp' ;;\nesac\n"
	for name, text := range map[string]string{"snapper": script, "id": "#!/bin/sh\necho 0\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return programs{dir: dir}
}

const listOfSrv = `{"srv": [{"subvolume": "/tmp", "number": 0, "default": false, "active": false, "type": "single", "cleanup": "", "userdata": null}]}`

// TestASnapshotThatIsJustMadeIsLookedAtAgain: what another process has half made is
// neither missing nor a broken list.
func TestASnapshotThatIsJustMadeIsLookedAtAgain(t *testing.T) {
	p := withSnapper(t, `if [ ! -e "$(dirname "$0")/again" ]; then touch "$(dirname "$0")/again"; echo 'loading 1 failed' >&2; fi; echo '`+listOfSrv+`'`)
	now, err := look(t.Context(), p, []string{"srv"})
	if err != nil || now.configs["srv"] == nil || len(now.configs["srv"].list) != 1 {
		t.Errorf("got %+v, %v", now.configs["srv"], err)
	}
}

// TestAListThatFailsSaysWhy, in snapper's words.
func TestAListThatFailsSaysWhy(t *testing.T) {
	p := withSnapper(t, "echo 'Unknown config.' >&2; exit 1")
	now, err := look(t.Context(), p, []string{"srv"})
	if err != nil || now.configs["srv"] == nil || !strings.Contains(now.configs["srv"].why, "Unknown config.") {
		t.Errorf("got %+v, %v", now.configs["srv"], err)
	}
}
