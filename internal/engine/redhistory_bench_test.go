package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

// BenchmarkRedHistory tells when the 100 targets of a change were red, of 100,000
// stored alerts on 10,000 targets: read anew, and with one more request of 100 alerts
// since the last look.
func BenchmarkRedHistory(b *testing.B) {
	const posts, each = 1000, 100
	s, err := store.Open(b.Context(), store.Options{JS: bustest.Start(b).JetStream(), Server: "me"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte("groups:\n  - name: g\n    rules:\n      - rule: R\n        match: [alertname=\"A\"]\n")})
	if err := problems.Fatal(); err != nil {
		b.Fatal(err)
	}
	opened := time.Now().Add(-time.Hour)
	add := func(post int) {
		var body strings.Builder
		for i := range each {
			n, starts := post*each+i, opened.Add(time.Duration(post)*time.Second).UTC()
			status, ends := "firing", ""
			if post%2 == 1 {
				status, ends = "resolved", `,"endsAt":"`+starts.Add(time.Minute).Format(time.RFC3339)+`"`
			}
			fmt.Fprintf(&body, `%s{"status":%q,"labels":{"alertname":"Alert%d","instance":"t%d:9100","job":"node","severity":"critical","team":"web","cluster":"prod-1",`+
				`"namespace":"shop","service":"checkout"},"annotations":{"summary":"too many answers of checkout are errors","runbook":"https://runbooks.example/checkout"},"startsAt":%q%s}`,
				strings.Repeat(",", min(i, 1)), status, n%7, n%10_000, starts.Format(time.RFC3339), ends)
		}
		p := store.Post{Kind: "webhook", ReceivedAt: time.Now().UTC(), Body: []byte(`{"version":"4","alerts":[` + body.String() + `]}`)}
		if _, err := s.Alerts.Append(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	for i := range posts {
		add(i)
	}
	cfg := &Config{Rules: set}
	e := New(Options{Store: s, Server: "me", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, cfg)
	defer e.Close()
	c := backout.Change{State: backout.ChangeOpen, OpenedAt: opened}
	for i := range 100 {
		c.Targets = append(c.Targets, fmt.Sprintf("t%d", i*100))
	}
	look := func(h *redHistory) {
		for {
			h.last.at = time.Time{}
			got, err := h.answer(context.Background(), e, c)
			switch {
			case err != nil:
				b.Fatal(err)
			case got.Cut != "":
				continue // the machine is busy
			case len(got.Targets) != 100 || len(got.Targets[99].Red) == 0:
				b.Fatalf("%d targets", len(got.Targets))
			}
			return
		}
	}
	b.Run("anew", func(b *testing.B) {
		for b.Loop() {
			look(&redHistory{opened: opened, targets: c.Targets})
		}
	})
	b.Run("extended", func(b *testing.B) {
		h := &redHistory{opened: opened, targets: c.Targets}
		look(h)
		for n := posts; b.Loop(); n++ {
			b.StopTimer()
			add(n)
			e.posted.Add(1)
			b.StartTimer()
			look(h)
		}
	})
}
