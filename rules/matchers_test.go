package rules

import (
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

func TestMatchersChooseAlerts(t *testing.T) {
	ms, err := ParseMatchers([]string{`alertname=~"Watchdog|DeadMansSwitch"`, `cluster!="lab"`})
	if err != nil {
		t.Fatal(err)
	}
	if got := ms.String(); got != `alertname=~"Watchdog|DeadMansSwitch", cluster!="lab"` {
		t.Errorf("String %s", got)
	}
	for _, test := range []struct {
		labels map[string]string
		want   bool
	}{
		{map[string]string{"alertname": "Watchdog"}, true},
		{map[string]string{"alertname": "DeadMansSwitch", "cluster": "prod"}, true},
		{map[string]string{"alertname": "Watchdog", "cluster": "lab"}, false},
		{map[string]string{"alertname": "Down"}, false},
		{nil, false},
	} {
		if got := ms.Match(&backout.Alert{Labels: test.labels}); got != test.want {
			t.Errorf("%v: %v, want %v", test.labels, got, test.want)
		}
	}
	if (Matchers{}).Match(&backout.Alert{}) {
		t.Error("no matcher chooses an alert")
	}
}

func TestMatchersThatChooseEverythingAreRefused(t *testing.T) {
	for _, test := range []struct {
		texts []string
		want  string
	}{
		{nil, "no matcher"},
		{[]string{""}, "matcher"},
		{[]string{`alertname`}, "is not a matcher"},
		{[]string{`alertname=~"("`}, "is not a matcher"},
		{[]string{`alertname=~".*"`}, "every alert"},
		{[]string{`alertname=~".+"`}, "every alert"},
		{[]string{`alertname!="Down"`}, "every alert"},
		{[]string{`alertname!=""`, `severity=""`}, "every alert"},
	} {
		if ms, err := ParseMatchers(test.texts); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, %v, want %q", test.texts, ms, err, test.want)
		}
	}
}
