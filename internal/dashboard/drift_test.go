package dashboard

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

var digest = "sha256:" + strings.Repeat("0a", 32)

func driftSite(t *testing.T) *site {
	return siteOf(t, &fake{
		labels:  map[string]map[string]string{"web-1": {"team": "web"}, "db-1": {"team": "db"}},
		changes: []backout.Change{{ChangeSpec: backout.ChangeSpec{ID: "CHG1", Title: "nginx update", Targets: []string{"db-1"}}}},
		drifts: map[string]backout.Drift{digest: {
			ChangeID: "CHG1", Target: "db-1", At: time.Now(), Verdict: backout.DriftSome,
			Differences: []backout.Difference{{Part: "files", Name: "/etc/app.conf", Was: "absent", Now: "sha256 0b, mode 0644, owner 0:0"}},
		}},
		rollbacks: []backout.Rollback{
			{ID: "CHG1-r1", ChangeID: "CHG1", Targets: []backout.TargetState{{Name: "db-1", Drift: &backout.DriftFound{Report: digest}}}},
			{ID: "CHG1-r2", ChangeID: "CHG1", Targets: []backout.TargetState{{Name: "db-1", Drift: &backout.DriftFound{Report: "sha256:other"}}, {Name: "web-1"}}},
		},
	})
}

// TestDriftLeadsBack: a comparison names its change and the rollback that ended with it,
// and no other.
func TestDriftLeadsBack(t *testing.T) {
	s := driftSite(t)
	page := s.page("vic", "/drift/"+digest)
	wants(t, page, "db-1", "healthy but drifted", "/etc/app.conf", "CHG1 nginx update", `href="/rollbacks/CHG1-r1"`, `href="/api/v1/drift/`+digest+`"`)
	lacks(t, page, "CHG1-r2")
	wants(t, s.page("vic", "/drift/"+digest+"?part=files"), "/etc/app.conf", "Show all parts")
}

// TestDriftIsOfUseByItself: when the store does not say which rollback it was, the page
// says so and shows the rest.
func TestDriftIsOfUseByItself(t *testing.T) {
	s := driftSite(t)
	s.errs = map[string]error{"ListRollbacks": errors.New("no answer"), "Change": errors.New("no answer")}
	wants(t, s.page("vic", "/drift/"+digest), "/etc/app.conf", "not known: no answer")
	s.errs = nil
	s.rollbacks = nil
	wants(t, s.page("vic", "/drift/"+digest), "No rollback asked for it")
}

// TestDriftOfOthersAndOfNothing: a target of others is not shown, and what is no
// comparison says so.
func TestDriftOfOthersAndOfNothing(t *testing.T) {
	s := driftSite(t)
	for _, c := range []struct {
		as, path string
		status   int
		says     string
	}{
		{"wendy", "/drift/" + digest, http.StatusForbidden, "Not for you"},
		{"vic", "/drift/sha256:" + strings.Repeat("1", 64), http.StatusNotFound, "There is no such thing"},
		{"vic", "/drift/app", http.StatusBadRequest, "want sha256: and 64 hex digits"},
		{"vic", "/drift/" + digest + "?part=units", http.StatusBadRequest, "nothing of that name differs here"},
		{"vic", "/drift/" + digest + "?parts=files", http.StatusBadRequest, "unknown query parameter"},
	} {
		w := s.get(c.as, c.path)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s as %s: %d, want %d with %q: %s", c.path, c.as, w.Code, c.status, c.says, w.Body)
		}
		lacks(t, w.Body.String(), "/etc/app.conf")
	}
}
