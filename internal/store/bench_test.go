package store_test

import (
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/backout-io/backout/internal/store"
)

// bodies are a post with one alert and one with a hundred.
var bodies = []struct {
	name string
	size int
}{{"1alert", 700}, {"100alerts", 75_000}}

// BenchmarkAlertAppend compares posting by 1 and 64 senders with the plainest
// thing that is as durable: one writer that appends to a file and syncs.
func BenchmarkAlertAppend(b *testing.B) {
	for _, body := range bodies {
		b.Run("file/"+body.name, func(b *testing.B) { benchFile(b, body.size) })
		for _, senders := range []int{1, 64} {
			b.Run(fmt.Sprintf("store/%s/%d", body.name, senders), func(b *testing.B) { benchStore(b, body.size, senders) })
		}
	}
}

func benchFile(b *testing.B, size int) {
	f, err := os.Create(filepath.Join(b.TempDir(), "file"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	body := make([]byte, size)
	b.ResetTimer()
	for range b.N {
		if _, err := f.Write(body); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
}

func benchStore(b *testing.B, size, senders int) {
	s := start(b)
	p := store.Post{Kind: "webhook", Source: "alertmanager", ReceivedAt: testTime, Body: make([]byte, size)}
	_, _ = rand.Read(p.Body) // the worst case: it cannot be packed
	tickets := make(chan struct{}, b.N)
	for range b.N {
		tickets <- struct{}{}
	}
	close(tickets)
	batches := make(map[uint64]bool)
	var mu sync.Mutex
	var group sync.WaitGroup
	b.ResetTimer()
	for range senders {
		group.Go(func() {
			for range tickets {
				pos, err := s.Alerts.Append(b.Context(), p)
				if err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				batches[pos.Seq] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
	b.ReportMetric(float64(b.N)/float64(len(batches)), "posts/commit")
}

func BenchmarkLogAppend(b *testing.B) {
	s := start(b)
	last := uint64(0)
	for i := 0; b.Loop(); i++ {
		last = mustAppend(b, s.Rollbacks, "CHG1-r1", last, fmt.Sprint(i))
	}
}

// BenchmarkLogLoad loads a rollback of 20 records beside 10,000 others; beside a
// few when it is only tried, with -benchtime=1x.
func BenchmarkLogLoad(b *testing.B) {
	s := start(b)
	others := 625
	if f := flag.Lookup("test.benchtime"); f != nil && f.Value.String() == "1x" {
		others = 10
	}
	last := uint64(0)
	for i := range 20 {
		last = mustAppend(b, s.Rollbacks, "CHG1-r1", last, fmt.Sprint(i))
	}
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			for i := range others {
				mustAppend(b, s.Rollbacks, fmt.Sprintf("CHG%d-%d", w, i), 0, "a")
			}
		})
	}
	group.Wait()
	for b.Loop() {
		if got := mustLoad(b, s.Rollbacks, "CHG1-r1"); len(got) != 20 {
			b.Fatal(len(got))
		}
	}
}
