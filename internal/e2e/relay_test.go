package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// TestRelayedNoticesComeBackAsNoEvidence: notices go to the Alertmanager that tells
// backout of alerts, with a label that names the target. They come back, and neither
// trigger anything nor keep the target from counting as recovered; in the end none
// fires any more.
func TestRelayedNoticesComeBackAsNoEvidence(t *testing.T) {
	t.Parallel()
	part(t, "prometheus", "prometheus")
	part(t, "prometheus-alertmanager", "prometheus-alertmanager")
	shop := newShop(t)
	s := newSite(t, shop.plan(), strings.Replace(autoRule, `severity="critical"`, `severity=~".+"`, 1), web1)
	am := freePort(t)
	s.channels = fmt.Sprintf("  receivers: {type: alertmanager, urls: [\"http://%s\"], labels: {instance: \"web-1:80\"}}\n", am)
	s.audience = "  ops: [receivers]\n  stakeholders: [receivers]\n"
	s.more = "alertmanagers: [{url: \"http://" + am + "\"}]\n"
	srv := s.serve()
	alertmanager(t, am, srv)
	prometheus(t, shop, through(am))
	began := time.Now().Add(-time.Second)
	srv.plan(s.change, "web-1")
	if code, stdout, stderr := srv.cli("change", "run", s.change, "--", shop.bin("patch")); code != 0 {
		t.Fatalf("change run: exit code %d\n%s%s", code, stdout, stderr)
	}
	id := srv.awaitRollback(30 * time.Second)
	eventually(t, 30*time.Second, "our own alert comes back", func() error { return notYet(cameBack(t, srv, began, "BackoutRollbackLevelStarted")) })
	srv.awaitStatus(id, backout.RollbackRecovered, 60*time.Second)
	list := srv.rollbacks()
	if len(list) != 1 {
		t.Fatalf("%d rollbacks, want one", len(list))
	}
	for _, ref := range list[0].Evidence {
		if strings.HasPrefix(ref.Name, backout.OwnAlertPrefix) {
			t.Errorf("%s counts as evidence", ref.Name)
		}
	}
	eventually(t, 30*time.Second, "none of the rollback's alerts fires", func() error {
		if names := firingAbout(t, am, id); len(names) > 0 {
			return fmt.Errorf("%q fire", names)
		}
		return nil
	})
}

// cameBack tells whether the server has been sent an alert of this name.
func cameBack(t *testing.T, srv *server, since time.Time, name string) bool {
	t.Helper()
	found := false
	err := srv.client.History(t.Context(), since, time.Now(), func(e handlers.HistoryEntry) error {
		found = found || e.Post != nil && strings.Contains(string(e.Post.Body), name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// firingAbout asks Alertmanager which of our alerts about a rollback fire.
func firingAbout(t *testing.T, am, rollback string) []string {
	t.Helper()
	resp, err := http.Get("http://" + am + "/api/v2/alerts?" + url.Values{"filter": {`rollback="` + rollback + `"`}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var list []struct{ Labels map[string]string }
	body, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(body, &list) != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	var names []string
	for _, a := range list {
		// Drift stands by itself.
		if a.Labels["moment"] != string(backout.MomentDrift) {
			names = append(names, a.Labels["alertname"])
		}
	}
	return names
}
