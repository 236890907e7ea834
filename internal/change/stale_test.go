package change

import (
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestStale: a yes is worth nothing once its time is over, its plan has changed or
// gone, or other baselines were captured.
func TestStale(t *testing.T) {
	c := oneOfEach()[backout.ChangePlanned]
	g := yes(c)
	g.ValidUntil = start.Add(time.Hour)
	events, err := Decide(c, Input{At: start, Do: g})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		c = Apply(c, 1, start, e)
	}
	recaptured := Apply(c, 2, start, backout.BaselineCaptured{Number: 1})
	for name, tt := range map[string]struct {
		c    backout.Change
		hash string
		at   time.Time
		want string
	}{
		"good":                {c, "sha256:1", start.Add(time.Hour - 1), ""},
		"its time is over":    {c, "sha256:1", start.Add(time.Hour), "valid until"},
		"another plan":        {c, "sha256:2", start, "plan has changed"},
		"no plan":             {c, "", start, "not there"},
		"another baseline":    {recaptured, "sha256:1", start, "valid until"},
		"no yes":              {oneOfEach()[backout.ChangePlanned], "", start, ""},
		"a yes of an old log": {Apply(c, 2, start, backout.GatePassed{PlanHash: "sha256:1"}), "sha256:1", start.Add(1000 * time.Hour), ""},
	} {
		if got := Stale(tt.c, tt.hash, tt.at); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
