package ui

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

// TestALimitIsPastOrToCome: a level that is over had its limit, one to come would have it,
// and of one that never comes there is nothing to say.
func TestALimitIsPastOrToCome(t *testing.T) {
	says := regexp.MustCompile(`<span class="span">((?:would have|had|has) [^<]*)<`)
	base := backout.Rollback{ID: "r", Frozen: plan(3), Status: backout.RollbackRunning, Level: 1}
	for i := range base.Frozen.Plan.Levels {
		base.Frozen.Plan.Levels[i].EscalateAfter = backout.Duration(time.Duration(i+1) * 10 * time.Minute)
	}
	for name, c := range map[string]struct {
		change func(r *backout.Rollback)
		want   []string
	}{
		"the second is at it": {func(r *backout.Rollback) { r.LevelStartedAt = now }, []string{"had 10m", "would have 30m"}},
		"no step has begun":   {func(*backout.Rollback) {}, []string{"had 10m", "has 20m", "would have 30m"}},
		"the first left out":  {func(r *backout.Rollback) { r.StartAt = 1 }, []string{"has 20m", "would have 30m"}},
		"before the first":    {func(r *backout.Rollback) { r.Level, r.Status = -1, backout.RollbackPending }, []string{"would have 10m", "would have 20m", "would have 30m"}},
		"the third asked for": {func(r *backout.Rollback) { r.Status, r.Ask = backout.RollbackAwaiting, &backout.Ask{Level: 2} }, []string{"had 10m", "had 20m", "would have 30m"}},
		"over":                {func(r *backout.Rollback) { r.Status = backout.RollbackAborted }, []string{"had 10m", "had 20m"}},
	} {
		r := base
		c.change(&r)
		var got []string
		for _, m := range says.FindAllStringSubmatch(render(t, Frame{}, Now{Rollbacks: []Card{{Rollback: r}}}), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: it says %q, want %q", name, got, c.want)
		}
	}
}
