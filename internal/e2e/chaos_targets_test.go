package e2e

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// places are where the targets of this machine keep attempts: this machine itself
// first, then those behind sshd.
func (g *ground) places() []string {
	places := []string{"/var/lib/backout/attempts"}
	for _, name := range []string{"root", g.sshd.User} {
		if u, err := user.Lookup(name); err == nil {
			places = append(places, filepath.Join(u.HomeDir, ".local/state/backout/attempts"))
		}
	}
	return places
}

// forget removes what the targets still keep of the run's attempts.
func (g *ground) forget() {
	for _, place := range g.places() {
		left, _ := filepath.Glob(filepath.Join(place, "*"+g.sites[0].change+"-*"))
		for _, dir := range left {
			_ = os.RemoveAll(dir)
		}
	}
}

// checkTargets: what targets keep of the run, before anybody has cleaned up, is
// attempts that were claimed, by their names; or set aside, where one had been cut
// before it began. What is armed ahead and never used goes at the next start.
func (g *ground) checkTargets(trials []*trial) {
	g.t.Helper()
	claimed := map[string]bool{}
	for _, tr := range trials {
		for _, e := range tr.log {
			for _, ev := range e.Record.Events {
				if s, is := ev.(backout.StepStarted); is {
					claimed[s.AttemptID] = true
				}
			}
		}
	}
	kept, aside, idle := 0, 0, 0
	for _, place := range g.places() {
		entries, _ := os.ReadDir(place)
		for _, e := range entries {
			name := e.Name()
			if strings.HasPrefix(name, ".idle-") {
				idle++
				if g.outlived(filepath.Join(place, name)) {
					g.t.Errorf("%s/%s is of a process that is gone, and the start of a server after it has not removed it", place, name)
				}
				continue
			}
			if !strings.Contains(name, g.sites[0].change+"-") {
				continue // of others on this machine
			}
			rest, set := strings.CutPrefix(name, ".gone.")
			if set {
				_, rest, _ = strings.Cut(rest, ".")
				aside++
			} else {
				kept++
			}
			if _, attempt, _ := strings.Cut(rest, "."); !claimed[attempt] {
				g.t.Errorf("%s/%s is no attempt that a rollback of this run has claimed", place, name)
			}
		}
	}
	g.t.Logf("targets keep %d attempts of the run, %d more set aside, and %d armed ahead", kept, aside, idle)
}

// outlived tells that a directory of a process that is gone was there, and old
// enough to be removed, when a server of the run started last.
func (g *ground) outlived(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || info.ModTime().After(g.started.Add(-65*time.Second)) {
		return false
	}
	claim := strings.Fields(read(filepath.Join(dir, "claim")))
	if len(claim) != 3 {
		return true
	}
	stat := strings.Fields(read(fmt.Sprintf("/proc/%s/stat", claim[1])))
	return !slices.Contains(stat, claim[2])
}
