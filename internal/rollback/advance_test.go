package rollback

import "testing"

// TestRedAnew: another cause is told, another word of the same cause is not.
func TestRedAnew(t *testing.T) {
	for _, c := range []struct {
		before, now string
		want        bool
	}{
		{"", "check http: no answer", true},
		{"check http: no answer", "check http: answers 500", false},
		{"check http: no answer", "check unit: failed", true},
		{"alert Down fires since 02:00", "alert Slow fires, Alertmanager says", false},
		{"alert Down fires since 02:00", "check http: answers 500", true},
		{"check http: answers 500", "not back to its baseline: bash", true},
		{"not back to its baseline: bash", "not back to its baseline: bash, zlib", false},
	} {
		if got := RedAnew(c.before, c.now); got != c.want {
			t.Errorf("%q, then %q: %t", c.before, c.now, got)
		}
	}
}
