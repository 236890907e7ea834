package engine

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/gate"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/rules"
)

// BenchmarkGateAnswer keeps and reads the table of 1,000 targets, 9 levels and 5 checks
// at each: where all is well, and where nothing is. It reports what is stored of it.
func BenchmarkGateAnswer(b *testing.B) {
	for name, well := range map[string]bool{"yes": true, "no": false} {
		b.Run(name, func(b *testing.B) {
			js := bustest.Start(b).JetStream()
			s, err := store.Open(b.Context(), store.Options{JS: js, Server: "me"})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			set, problems := rules.Load(map[string][]byte{})
			if err := problems.Fatal(); err != nil {
				b.Fatal(err)
			}
			e := New(Options{Store: s, Server: "me", Sender: &mouth{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Sole: true}, &Config{Rules: set})
			defer e.Close()
			var keeping time.Duration
			for i := 0; b.Loop(); i++ {
				answers := manyAnswers(well, i)
				g := gateCheck{Result: gate.Result{Looks: gate.Looks(answers)}}
				for _, a := range answers {
					g.Violations = append(g.Violations, a.Violations...)
				}
				began := time.Now()
				c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "C1"}, Answer: e.keepAnswer(b.Context(), "C1", g)}
				keeping += time.Since(began)
				if got, err := e.storedAnswer(b.Context(), c); err != nil || len(got.Looks) != len(answers) {
					b.Fatalf("%d of %d looks, %v", len(got.Looks), len(answers), err)
				}
			}
			b.StopTimer()
			stream, err := js.Stream(b.Context(), "OBJ_BACKOUT_ARTIFACTS")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(stream.CachedInfo().State.Bytes)/float64(b.N)/1024, "stored-KiB")
			b.ReportMetric(float64(keeping.Milliseconds())/float64(b.N), "keep-ms")
		})
	}
}

// manyAnswers differ with each number.
func manyAnswers(well bool, number int) []gate.Answer {
	out := make([]gate.Answer, 0, 1000*9*5)
	for t := range 1000 {
		for l := range 9 {
			for c := range 5 {
				a := gate.Answer{Target: fmt.Sprintf("host-%d.example.com", t), Level: fmt.Sprint("L", l+1), Step: c, Check: fmt.Sprint("executor-", c)}
				if !well {
					a.Violations = []backout.Violation{{
						Check: a.Check, Target: a.Target, Level: a.Level, Fix: "keep it on the target before the patch: stash: true",
						Reason: fmt.Sprintf("openssl 0:%d.%d-%d is in no repository and not in the cache", t, number, c),
					}}
				}
				if well && l == 8 {
					a.Loses = fmt.Sprintf("data written since the snapshot, %d minutes ago", number+t)
				}
				out = append(out, a)
			}
		}
	}
	return out
}
