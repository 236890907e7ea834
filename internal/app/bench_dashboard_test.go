package app_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
)

// What people look at while the benchmark measures.
const (
	viewChanges = 1000
	viewAlerts  = 100_000
	viewPages   = 200
)

// BenchmarkDashboard measures what the page of what is red now costs, with 1,000 open
// changes and 100,000 alerts stored: its first view, how long until 200 open pages show
// that a rollback was held, and what they cost beside that.
func BenchmarkDashboard(b *testing.B) {
	w := newBenchWorldOf(b, scaled(viewChanges))
	a := w.serve(b)
	var hundred [][]byte
	for i := range 64 {
		hundred = append(hundred, benchRequest(benchBody(b, "DiskSlow", strangers(100*i, 100)...)))
	}
	newCrowd(b, a.Addr(), 64).post(b, scaled(viewAlerts)/100, hundred...)
	v := &viewers{b: b, server: "http://" + a.Addr()}
	var err error
	if v.client, err = client.New(client.Options{Server: v.server, Token: backout.SecretValue(benchToken + "3")}); err != nil {
		b.Fatal(err)
	}
	r, err := v.client.StartRollback(b.Context(), handlers.StartRequest{ChangeID: w.change(0), Targets: []string{w.target(0, 0)}, Reason: "to look at"})
	if err != nil {
		b.Fatal(err)
	}
	first, bytes := v.firstViews(scaled(200))
	before := memory()
	v.open(viewPages)
	for b.Loop() {
		v.watch(r.ID, scaled(100))
	}
	b.ReportMetric(millis(share(first, 0.5)), "first-p50-ms")
	b.ReportMetric(millis(share(first, 0.99)), "first-p99-ms")
	b.ReportMetric(float64(bytes)/1024, "first-KiB")
	slices.Sort(v.shown)
	slices.Sort(v.answered)
	b.ReportMetric(millis(share(v.shown, 0.5)), "shown-p50-ms")
	b.ReportMetric(millis(share(v.shown, 0.99)), "shown-p99-ms")
	b.ReportMetric(millis(share(v.answered, 0.99)), "action-p99-ms")
	b.ReportMetric(v.cores(), "cores")
	b.ReportMetric(float64(memory()-before)/(1<<20), "200-pages-MiB")
}

// memory is what the process holds, after what nobody needs was given back.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// viewers are people who look at a server.
type viewers struct {
	b        *testing.B
	server   string
	client   *client.Client
	mu       sync.Mutex
	shown    []time.Duration
	answered []time.Duration
	pages    []*openPage
	wall     time.Duration
	cpu      time.Duration
}

func (v *viewers) get(ctx context.Context, path, accept string) *http.Response {
	v.b.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.server+path, nil)
	if err != nil {
		v.b.Fatal(err)
	}
	r.SetBasicAuth("ann", benchToken+"3")
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		v.b.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		v.b.Fatalf("%s answered %s", path, answer.Status)
	}
	return answer
}

var assetRef = regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`)

// firstViews loads the page so many times, and says how long the server took and what
// one first view transfers: the page with all that it loads.
func (v *viewers) firstViews(n int) (took []time.Duration, transferred int) {
	for range n {
		began := time.Now()
		answer := v.get(v.b.Context(), "/", "text/html")
		page, err := io.ReadAll(answer.Body)
		if err != nil {
			v.b.Fatal(err)
		}
		_ = answer.Body.Close()
		took = append(took, time.Since(began))
		transferred = len(page)
	}
	slices.Sort(took)
	r, err := http.NewRequestWithContext(v.b.Context(), http.MethodGet, v.server+"/", nil)
	if err != nil {
		v.b.Fatal(err)
	}
	r.SetBasicAuth("ann", benchToken+"3")
	plain, err := http.DefaultClient.Do(r)
	if err != nil {
		v.b.Fatal(err)
	}
	defer func() { _ = plain.Body.Close() }()
	page, err := io.ReadAll(plain.Body)
	if err != nil {
		v.b.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range assetRef.FindAllSubmatch(page, -1) {
		if path := string(m[1]); !seen[path] {
			seen[path] = true
			answer := v.get(v.b.Context(), path, "*/*")
			n, err := io.Copy(io.Discard, answer.Body)
			if err != nil {
				v.b.Fatal(err)
			}
			_ = answer.Body.Close()
			transferred += int(n)
		}
	}
	return took, transferred
}

// openPage is one page that is kept up to date.
type openPage struct {
	news chan [sha256.Size]byte
}

// open opens so many pages and waits until each has shown something.
func (v *viewers) open(n int) {
	for range n {
		p := &openPage{news: make(chan [sha256.Size]byte, 1024)}
		v.pages = append(v.pages, p)
		answer := v.get(v.b.Context(), "/live", "text/event-stream")
		v.b.Cleanup(func() { _ = answer.Body.Close() })
		go p.read(answer.Body)
	}
	for _, p := range v.pages {
		<-p.news
	}
}

// read tells of every page that comes.
func (p *openPage) read(stream io.Reader) {
	lines := bufio.NewReaderSize(stream, 64<<10)
	var event bytes.Buffer
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		event.Write(line)
		if len(line) == 1 {
			if !bytes.HasPrefix(event.Bytes(), []byte("event: beat")) {
				p.news <- sha256.Sum256(event.Bytes())
			}
			event.Reset()
		}
	}
}

// watch holds and releases the rollback, and waits each time until every page shows it.
func (v *viewers) watch(id string, times int) {
	v.b.Helper()
	cpu, began := processorTime(v.b), time.Now()
	for i := range times {
		verb := []handlers.Verb{handlers.VerbHold, handlers.VerbRelease}[i%2]
		at := time.Now()
		if _, err := v.client.Act(v.b.Context(), id, handlers.Action{Verb: verb, Reason: fmt.Sprint("round ", i)}); err != nil {
			v.b.Fatal(err)
		}
		v.answered = append(v.answered, time.Since(at))
		var all sync.WaitGroup
		for _, p := range v.pages {
			all.Go(func() {
				<-p.news
				v.mu.Lock()
				v.shown = append(v.shown, time.Since(at))
				v.mu.Unlock()
			})
		}
		all.Wait()
		v.settle()
	}
	v.wall += time.Since(began)
	v.cpu += processorTime(v.b) - cpu
}

// settle lets what steps make of it come: until nothing has come for a while.
func (v *viewers) settle() {
	quiet := time.NewTimer(300 * time.Millisecond)
	defer quiet.Stop()
	for more := true; more; {
		select {
		case <-v.pages[0].news:
			quiet.Reset(300 * time.Millisecond)
		case <-quiet.C:
			more = false
		}
	}
	for _, p := range v.pages {
		for len(p.news) > 0 {
			<-p.news
		}
	}
}

// cores is how many processors were busy while the pages were open: those of the
// readers, which run in the same process, among them.
func (v *viewers) cores() float64 { return v.cpu.Seconds() / v.wall.Seconds() }
