package capture_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/host/hosttest"
)

// realAIDE is this machine with AIDE, its configuration, and a database of a small
// tree.
func realAIDE(t *testing.T, conf string) (here, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "another /etc/aide needs root")
	}
	if _, err := exec.LookPath("aide"); err != nil {
		hosttest.Missing(t, "no aide here: apt-get install --no-install-recommends aide")
	}
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "same"} {
		write(t, dir+"/tree/"+name, name)
	}
	write(t, dir+"/etc/aide.conf", "@@define DBDIR "+dir+"\ndatabase_in=file:@@{DBDIR}/aide.db\ndatabase_out=file:@@{DBDIR}/aide.db\n"+conf+dir+"/tree p+n+sha256\n")
	if out, err := exec.Command("aide", "--init", "--config="+dir+"/etc/aide.conf").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return here{before: "mkdir -p " + dir + "/upper " + dir + "/work\nmount -t overlay overlay -o lowerdir=/etc,upperdir=" + dir + "/upper,workdir=" + dir + "/work /etc\n" +
		"mkdir -p /etc/aide\nmount --bind " + dir + "/etc /etc/aide"}, dir
}

// TestRealAIDE: its version and database are captured, and its check is read, with
// the format that must stand before the report's name.
func TestRealAIDE(t *testing.T) {
	h, dir := realAIDE(t, "report_url=file:@@{DBDIR}/own.log\nreport_url=stdout\n")
	inv, err := capture.Take(t.Context(), h, without(backout.PartPorts))
	if err != nil || inv.AIDE == nil || !strings.HasPrefix(inv.AIDE.Version, "AIDE 0.") || len(inv.AIDE.Database) != 64 || inv.AIDE.Report != nil {
		t.Fatalf("%+v, %v", inv.AIDE, err)
	}
	if r, err := capture.CheckAIDE(t.Context(), h); err != nil || fmt.Sprint(r) != "{[] [] []}" {
		t.Errorf("nothing changed: %+v, %v", r, err)
	}
	write(t, dir+"/tree/a", "other")
	write(t, dir+"/tree/c d", "new")
	if err := os.Remove(dir + "/tree/b"); err != nil {
		t.Fatal(err)
	}
	r, err := capture.CheckAIDE(t.Context(), h)
	if want := fmt.Sprintf("{[%[1]s/tree/c d] [%[1]s/tree/b] [%[1]s/tree/a]}", dir); err != nil || fmt.Sprint(r) != want {
		t.Errorf("got %+v, %v", r, err)
	}
	if own, err := os.ReadFile(dir + "/own.log"); err != nil || strings.Contains(string(own), `"outline"`) {
		t.Errorf("the configuration's own report is not as it was: %v %s", err, own)
	}
}

// TestADamagedAIDEDatabaseIsNoBaseline: to AIDE 0.18 everything is new then, and it
// ends with 1.
func TestADamagedAIDEDatabaseIsNoBaseline(t *testing.T) {
	h, dir := realAIDE(t, "")
	whole, err := os.ReadFile(dir + "/aide.db")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(whole), "\n")
	for name, text := range map[string]string{"cut": string(whole[:len(whole)/2]), "cut between two lines": strings.Join(lines[:len(lines)-3], "\n") + "\n", "garbage": "garbage", "empty": ""} {
		write(t, dir+"/aide.db", text)
		if r, err := capture.CheckAIDE(t.Context(), h); err == nil || !strings.Contains(err.Error(), "run aide --init") || len(r.Added) > 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if err := os.Remove(dir + "/aide.db"); err != nil {
		t.Fatal(err)
	}
	if _, err := capture.CheckAIDE(t.Context(), h); err == nil || !strings.Contains(err.Error(), "ended with 18") || !strings.Contains(err.Error(), "run aide --init") {
		t.Errorf("gone: %v", err)
	}
	inv, err := capture.Take(t.Context(), h, without(backout.PartPorts))
	if err != nil || inv.AIDE != nil {
		t.Errorf("without a database: %+v, %v", inv.AIDE, err)
	}
}

// TestAIDEExitCodes: a mask up to 7, errors from 14 on, and what does not fit the
// report is no answer.
func TestAIDEExitCodes(t *testing.T) {
	const old = "AIDE 0.16.2 found differences between database and filesystem!!\nStart timestamp: 2026-11-26 18:00:00 +0000\n\nSummary:\n  Total number of entries:\t40\n  Added entries:\t\t1\n  Removed entries:\t\t0\n  Changed entries:\t\t2\n\n---------------------------------------------------\nAdded entries:\n---------------------------------------------------\n\nf++++++++++++++++: /etc/new\n\n---------------------------------------------------\nChanged entries:\n---------------------------------------------------\n\nf   ...    .C... : /etc/a b\nf   ...    .C... : /usr/sbin/nginx\n\n---------------------------------------------------\nDetailed information about changes:\n---------------------------------------------------\n\nFile: /etc/a b\n  SHA256   : AAA= | BBB=\n"
	for name, tt := range map[string]struct{ stub, want string }{
		"0.16":             {"cat <<'E'\n" + old + "\nE\nexit 5", "{[/etc/new] [] [/etc/a b /usr/sbin/nginx]}"},
		"0.16, other code": {"cat <<'E'\n" + old + "\nE\nexit 4", "ended with 4, and its report is not understood or says something else"},
		"0.16, cut":        {"cat <<'E'\n" + old[:500] + "\nE\nexit 5", "is not understood"},
		"0.16, the same":   {"echo 'AIDE 0.16.2 found NO differences between database and filesystem. Looks okay!!'; exit 0", "{[] [] []}"},
		"0.15, the same":   {"printf '\\nAIDE, version 0.15.1\\n\\n### All files match AIDE database. Looks okay!\\n\\n'; exit 0", "{[] [] []}"},
		"silent":           {"exit 0", "is not understood"},
		"locked":           {"exit 21", "another one is running"},
		"configuration":    {"echo 'line 3: unknown' >&2; exit 17", "line 3: unknown (a mistake in its configuration)"},
		"nothing of it":    {"exit 9", "ended with 9"},
		"all is new":       {"cat <<'E'\n" + strings.NewReplacer("\t40", "\t1", "\t2\n", "\t0\n", "f   ...    .C... : /etc/a b\nf   ...    .C... : /usr/sbin/nginx\n", "").Replace(old) + "\nE\nexit 1", "all 1 entries are new"},
	} {
		stub := `case $1 in --version) echo "Aide 0.16.2"; exit;; esac` + "\n" + tt.stub
		r, err := capture.CheckAIDE(t.Context(), here{path: stubs(t, map[string]string{"aide": stub})})
		if got := fmt.Sprint(r) + fmt.Sprint(err); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
