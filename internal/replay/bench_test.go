package replay

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/alertwire"
	"github.com/backout-io/backout/internal/bench"
	"github.com/backout-io/backout/rules"
)

// A month as a middle-sized site has it: 2,000 targets, 1,000 changes of five
// targets and six hours each, 1,000 rules, and webhooks of ten alerts every few
// seconds, most of them about nothing that is being changed.
const (
	benchTargets = 2000
	benchChanges = 1000
	benchRules   = 1000
	benchDays    = 30
)

func benchTarget(i int) string { return fmt.Sprintf("web-%04d", i%benchTargets) }

func benchSet(b *testing.B) *rules.Set {
	b.Helper()
	var list []string
	for i := range benchRules {
		text := fmt.Sprintf("rule: R%d\nmatch: [alertname=\"Alert%d\", severity=~\"page|critical\"]\nmode: %s", i, i%200, []string{"shadow", "ask", "auto"}[i%3])
		if i%2 == 0 {
			text += "\nwhen: evidence.red_share_patched > evidence.red_share_unpatched and alert.age > duration(\"2m\")"
		}
		list = append(list, text)
	}
	return load(b, list...)
}

func benchHistory() History {
	h := History{Inventory: map[string]backout.Target{}}
	for i := range benchTargets {
		h.Inventory[benchTarget(i)] = backout.Target{Name: benchTarget(i)}
	}
	for i := range benchChanges {
		opens := time.Duration(i) * benchDays * 24 * time.Hour / benchChanges
		c := changed(fmt.Sprintf("CHG%04d", i))
		for j := range 5 {
			c.Targets = append(c.Targets, benchTarget(i*7+j*13))
		}
		c.OpenedAt = t0.Add(opens)
		c.Window.Closes, c.PatchedAt = c.OpenedAt.Add(2*time.Hour), c.OpenedAt.Add(time.Hour)
		c.WatchUntil = c.OpenedAt.Add(6 * time.Hour)
		c.EndedAt = c.WatchUntil
		h.Changes = append(h.Changes, c)
	}
	return h
}

// benchPost is the webhook number n of so many: ten alerts of one target and name
// after the other, each told when it begins and when it has ended.
func benchPost(n, of int) (time.Time, []byte) {
	at := t0.Add(time.Duration(n) * (benchDays * 24 * time.Hour / time.Duration(of)))
	var b strings.Builder
	b.WriteString(`{"version":"4","groupKey":"{}:{alertname=\"x\"}","truncatedAlerts":0,"status":"firing","receiver":"backout","groupLabels":{"alertname":"x"},"commonLabels":{"job":"node"},"commonAnnotations":{},"externalURL":"http://alertmanager.example:9093","alerts":[`)
	for i := range 10 {
		if i > 0 {
			b.WriteByte(',')
		}
		// Ten posts later it has ended.
		k, status, ends := n, "firing", "0001-01-01T00:00:00Z"
		starts := at.Add(-30 * time.Second)
		if i%2 == 1 && n >= 10 {
			k, status, ends = n-10, "resolved", at.Add(-10*time.Second).Format(time.RFC3339Nano)
			starts = at.Add(-10*(benchDays*24*time.Hour/time.Duration(of)) - 30*time.Second)
		}
		id := k*5 + i/2
		fmt.Fprintf(&b, `{"status":%q,"labels":{"alertname":"Alert%d","instance":"%s:9100","job":"node","severity":"page","team":"web","cluster":"prod-1"},"annotations":{"summary":"something is wrong on %s","runbook_url":"https://runbooks.example/alert"},"startsAt":%q,"endsAt":%q,"generatorURL":"http://prometheus.example:9090/graph?g0.expr=up+%%3D%%3D+0&g0.tab=1","fingerprint":"a4d1c2b3e4f50617"}`,
			status, id*31%200, benchTarget(id*17), benchTarget(id*17), starts.Format(time.RFC3339Nano), ends)
	}
	b.WriteString("]}")
	return at, []byte(b.String())
}

type post struct {
	at   time.Time
	body []byte
}

func decoded(b *testing.B, posts []post) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		for _, p := range posts {
			hook, err := alertwire.DecodeWebhook(p.body)
			if err != nil {
				b.Fatal(err)
			}
			for _, a := range hook.Alerts {
				if !yield(Delivery{p.at, a}, nil) {
					return
				}
			}
		}
	}
}

// BenchmarkReplay says how many alerts a second one core replays: with decoding of
// the webhooks, and of alerts that are decoded already.
func BenchmarkReplay(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as the command has it
	set, h := benchSet(b), benchHistory()
	const n = 20_000
	posts := make([]post, n)
	for i := range posts {
		posts[i].at, posts[i].body = benchPost(i, n)
	}
	var ready []Delivery
	for d := range decoded(b, posts) {
		ready = append(ready, d)
	}
	for name, alerts := range map[string]iter.Seq2[Delivery, error]{
		"webhooks": decoded(b, posts),
		"alerts": func(yield func(Delivery, error) bool) {
			for _, d := range ready {
				if !yield(d, nil) {
					return
				}
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			h.Alerts = alerts
			var sum Summary
			bench.Loop(b, func() {
				var err error
				if sum, err = Run(context.Background(), set, h, Options{}, func(Event) error { return nil }); err != nil {
					b.Fatal(err)
				}
			})
			if sum.Opened == 0 || sum.Changes < benchChanges-10 {
				b.Fatalf("nothing happened: %+v", sum)
			}
			b.ReportMetric(float64(sum.Alerts)*float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
			b.ReportMetric(float64(sum.Verdicts), "verdicts")
			b.ReportMetric(float64(sum.Opened), "opened")
		})
	}
}
