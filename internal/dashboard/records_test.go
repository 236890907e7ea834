package dashboard

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// TestOneRecordOfALog: as it is stored, with who acted, and the ones beside it.
func TestOneRecordOfALog(t *testing.T) {
	tale := askingTale(t, taleStart)
	s := siteOf(t, tell(&fake{}, tale))
	last := tale.log[len(tale.log)-1].Seq
	page := s.page("vic", fmt.Sprint("/rollbacks/CHG1-r1/records/", last))
	wants(t, page,
		fmt.Sprintf("Record %d of %d in the log of CHG1-r1", len(tale.log), len(tale.log)), "ann voted approve via dashboard: nothing else is left",
		"<dt>Who acted</dt><dd>ann</dd>", "server server-1", fmt.Sprint("<dd>", last, "</dd>"), tale.now.Format(time.DateTime)+" UTC",
		"  &#34;events&#34;: [\n    {\n      &#34;kind&#34;: &#34;voted&#34;,", fmt.Sprintf(`href="/rollbacks/CHG1-r1/records/%d"`, last-1), `href="/rollbacks/CHG1-r1"`,
	)
	lacks(t, page, `rel="next"`, "left out")
	first := s.page("vic", fmt.Sprint("/rollbacks/CHG1-r1/records/", tale.log[0].Seq))
	wants(t, first, "Record 1 of", `rel="next"`, "opened for CHG1 on", "L1 entered on")
	lacks(t, first, `rel="prev"`, "Who acted")
}

// TestARecordOfAChange is shown as one of a rollback is.
func TestARecordOfAChange(t *testing.T) {
	long := backout.WindowOpened{By: "amy", Baselines: map[string]string{}}
	for i := range 5000 {
		long.Baselines[fmt.Sprintf("web-%04d", i)] = "sha256:" + strings.Repeat("a", 64)
	}
	f := &fake{
		changes: []backout.Change{aChange("CHG1", backout.ChangeOpen, "web-1")},
		changeLogs: map[string][]handlers.LogEntry{"CHG1": {
			{ID: "CHG1", Seq: 3, Record: backout.Record{At: taleStart, By: "server-1", Events: []backout.Event{backout.Planned{By: "amy", Spec: backout.ChangeSpec{Plan: "<shop>"}}}}},
			{ID: "CHG1", Seq: 9, Record: backout.Record{At: taleStart, By: "server-2", Events: []backout.Event{long}}},
		}},
		labels: map[string]map[string]string{"web-1": {"team": "db"}},
	}
	s := siteOf(t, f)
	page := s.page("vic", "/changes/CHG1/records/3")
	wants(t, page, "Record 1 of 2 in the log of CHG1", "with plan &lt;shop&gt; by amy", "<dd>amy</dd>", `href="/changes/CHG1/records/9"`, `href="/changes/CHG1"`, `aria-current="page">Changes`)
	page = s.page("vic", "/changes/CHG1/records/9")
	wants(t, page, "The rest is left out", `href="/api/v1/changes/CHG1/log"`)
	if len(page) > 2*recordBytes {
		t.Errorf("%d bytes", len(page))
	}
	if w := s.get("wendy", "/changes/CHG1/records/3"); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "shop") {
		t.Errorf("who may not see it: answered %d %s", w.Code, w.Body)
	}
}

// TestARecordThatIsNotThere leads on.
func TestARecordThatIsNotThere(t *testing.T) {
	s := siteOf(t, tell(&fake{}, askingTale(t, taleStart)))
	for path, code := range map[string]int{
		"/rollbacks/CHG1-r1/records/1": 404, "/rollbacks/CHG1-r1/records/x": 400, "/rollbacks/CHG1-r1/records/-1": 400,
		"/rollbacks/CHG9-r1/records/1": 404, "/changes/CHG9/records/1": 404, "/rollbacks/CHG1-r1/records/99999999999999999999": 400,
	} {
		w := s.get("vic", path)
		if w.Code != code {
			t.Errorf("%s: answered %d", path, w.Code)
		}
		wants(t, w.Body.String(), `href="/rollbacks"`)
	}
	if w := s.get("wendy", "/rollbacks/CHG1-r1/records/41"); w.Code != http.StatusForbidden {
		t.Errorf("who may not see it: answered %d", w.Code)
	}
}
