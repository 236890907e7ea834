package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/replay"
)

// TestReplayOfARealPast: what the server did after a patch, its rules would do again
// over what it remembers, and over what Prometheus remembers.
func TestReplayOfARealPast(t *testing.T) {
	t.Parallel()
	part(t, "prometheus", "prometheus")
	shop := newShop(t)
	s := newSite(t, shop.plan(), autoRule, web1)
	s.quiet()
	srv := s.serve()
	prom := prometheus(t, shop, direct(srv))
	srv.plan(s.change, "web-1")
	srv.mustCLI("change", "run", s.change, "--", shop.bin("patch"))
	id := srv.awaitRollback(30 * time.Second)
	srv.awaitStatus(id, backout.RollbackRecovered, 60*time.Second)

	again := func(more ...string) replay.Report {
		t.Helper()
		args := append([]string{"rules", "replay", "-c", s.path("backout.yaml"), "-o", "json", "--since", "10m"}, more...)
		var r replay.Report
		if err := json.Unmarshal([]byte(srv.mustCLI(args...)), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, r := range map[string]replay.Report{"the server": again(), "Prometheus": again("--prometheus", "http://"+prom, "--step", "1s")} {
		if len(r.Rows) != 1 || r.Agreed != 1 || len(r.Missed) != 0 {
			t.Fatalf("%s remembers: %+v", name, r)
		}
		row := r.Rows[0]
		if row.Rule != "ErrorsAfterPatch" || strings.Join(row.Targets, " ") != "web-1" || row.Level != "L1" || row.ChangeID != s.change {
			t.Errorf("%s remembers: %+v", name, row)
		}
		if len(row.Did) != 1 || row.Did[0].RollbackID != id || row.Did[0].Rule != "ErrorsAfterPatch" || row.Did[0].Status != backout.RollbackRecovered {
			t.Errorf("%s remembers that really there was: %+v", name, row.Did)
		}
		real, err := srv.client.Rollback(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if off := row.At.Sub(real.OpenedAt).Abs(); off > 3*time.Second {
			t.Errorf("%s: would have opened %s from when it was", name, off)
		}
	}
	if out := srv.mustCLI("rules", "replay", "-c", s.path("backout.yaml"), "--since", "30d"); !strings.Contains(out, "really: rule ErrorsAfterPatch rolled back web-1") || !strings.Contains(out, "note: alerts are kept since") {
		t.Errorf("for people:\n%s", out)
	}
	if out := srv.mustCLI("rules", "replay", "-c", s.path("backout.yaml"), "--against", s.path("rules/rules.yaml"), "--fail-on-difference"); !strings.Contains(out, "no difference") {
		t.Errorf("against itself:\n%s", out)
	}
}
