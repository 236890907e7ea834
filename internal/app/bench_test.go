package app_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIntake measures the whole server under 64 connections: every answer
// comes after the alerts are synced to disk. A null handler that reads the body
// takes its turns in the same run, by the same client, for the ratios and for
// the part of the processor time that is the client's and net/http's.
func BenchmarkIntake(b *testing.B) {
	w := newBenchWorld(b)
	server := newCrowd(b, w.serve(b).Addr(), 64)
	null := newCrowd(b, nullServer(b), 64)
	one := benchRequest(benchBody(b, "DiskSlow", strangers(0, 1)...))
	var hundred [][]byte
	for i := range 16 {
		hundred = append(hundred, benchRequest(benchBody(b, "DiskSlow", strangers(100*i, 100)...)))
	}
	var nullOne, ourOne, nullHundred, ourHundred spent
	turn := func(count bool) {
		a, o := null.post(b, scaled(4000), one), server.post(b, scaled(2000), one)
		c, h := null.post(b, scaled(1000), hundred...), server.post(b, scaled(400), hundred...)
		if count {
			nullOne.add(a)
			ourOne.add(o)
			nullHundred.add(c)
			ourHundred.add(h)
		}
	}
	turn(false)
	for b.Loop() {
		turn(true)
	}
	b.ReportMetric(ourOne.perSecond()/nullOne.perSecond(), "one/null")
	b.ReportMetric(ourOne.perSecond(), "one-req/s")
	b.ReportMetric(nullOne.perSecond(), "null-req/s")
	b.ReportMetric(ourOne.cpuPerRequest(), "one-cpu-us/req")
	b.ReportMetric(nullOne.cpuPerRequest(), "null-cpu-us/req")
	b.ReportMetric(100*ourHundred.perSecond(), "hundred-alerts/s")
	b.ReportMetric((ourHundred.cpuPerRequest()-nullHundred.cpuPerRequest())/100, "hundred-cpu-us/alert")
}

// BenchmarkFirstProcess measures from just before the POST is written to the
// first instruction of the step's command on a local target, with nothing else to
// do and while another sender posts 50,000 alerts a second that match nothing. In
// turn with it: a bare os/exec of the same command, detached as a step is, and an
// append of 1 KiB with its sync.
//
// The path has five syncs. Four are appends: the alert, the change's log, the
// rollback's opening, and the claim of its attempt; the fifth is the target's own
// claim, a new name in a directory.
func BenchmarkFirstProcess(b *testing.B) {
	w := newBenchWorld(b)
	a := w.serve(b)
	conn, err := dialBench(a.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	file, err := os.Create(filepath.Join(w.dir, "synced"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	red := 0
	turn := func(b *testing.B, t *timings) {
		pause := time.After(benchPause)
		t.bare = append(t.bare, w.first(b, w.startBare))
		t.synced = append(t.synced, appendOnce(b, file))
		<-pause
		pause = time.After(benchPause)
		target := w.target(red%(w.changes/10), red/(w.changes/10))
		request := benchRequest(benchBody(b, fmt.Sprintf("Alert%d", red%scaled(benchRules)), target))
		red++
		t.started = append(t.started, w.first(b, func() error { return conn.post(request) }))
		<-pause
	}
	b.Run("idle", func(b *testing.B) {
		var t timings
		for b.Loop() {
			for range scaled(100) {
				turn(b, &t)
			}
		}
		t.report(b)
	})
	b.Run("storm", func(b *testing.B) {
		var t timings
		rate := startStorm(b, a.Addr(), 50_000)
		for b.Loop() {
			for range scaled(100) {
				turn(b, &t)
			}
		}
		t.report(b)
		b.ReportMetric(rate(), "storm-alerts/s")
	})
}

// benchPause leaves time for what follows a start: notices, checks, the next
// armed shell.
const benchPause = 100 * time.Millisecond

// timings are those of BenchmarkFirstProcess.
type timings struct{ bare, synced, started []time.Duration }

func (t *timings) report(b *testing.B) {
	b.Helper()
	const syncs = 5
	floor := share(t.bare, .5) + syncs*share(t.synced, .5)
	b.ReportMetric(millis(share(t.started, .5)), "start-p50-ms")
	b.ReportMetric(millis(share(t.started, .99)), "start-p99-ms")
	b.ReportMetric(millis(share(t.bare, .5)), "bare-p50-ms")
	b.ReportMetric(millis(share(t.bare, .99)), "bare-p99-ms")
	b.ReportMetric(millis(share(t.synced, .5)), "sync-p50-ms")
	b.ReportMetric(millis(share(t.synced, .99)), "sync-p99-ms")
	b.ReportMetric(millis(share(t.started, .5))/millis(floor), "start/floor")
}

// first returns the time from the call of begin to the command's first
// instruction, which may come before begin returns.
func (w *benchWorld) first(b *testing.B, begin func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := begin(); err != nil {
		b.Fatal(err)
	}
	var line [20]byte
	if _, err := io.ReadFull(w.stamps, line[:]); err != nil {
		b.Fatal(err)
	}
	stamp, err := strconv.ParseInt(string(line[:19]), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(stamp - began.UnixNano())
}

// startBare runs the same command as a step does: in a session of its own, which
// on Linux also decides whose share of the processor it takes.
func (w *benchWorld) startBare() error {
	cmd := exec.Command(w.program, w.pipe)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Run()
}

func appendOnce(b *testing.B, f *os.File) time.Duration {
	b.Helper()
	data := make([]byte, 1024)
	began := time.Now()
	_, err := f.Write(data)
	if err = errors.Join(err, f.Sync()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// startStorm posts alerts at a steady rate until the benchmark ends. The result
// tells the rate that was reached.
func startStorm(b *testing.B, addr string, perSecond int) func() float64 {
	b.Helper()
	const senders, size = 16, 100
	var requests [][]byte
	for i := range 64 {
		requests = append(requests, benchRequest(benchBody(b, "DiskSlow", strangers(size*i, size)...)))
	}
	conns := newCrowd(b, addr, senders)
	tickets := make(chan int, senders)
	stop := make(chan struct{})
	var all sync.WaitGroup
	sent, began := 0, time.Now()
	all.Go(func() {
		defer close(tickets)
		for ; ; sent++ {
			select {
			case <-time.After(time.Until(began.Add(time.Duration(sent) * time.Second * size / time.Duration(perSecond)))):
			case <-stop:
				return
			}
			select {
			case tickets <- sent:
			case <-stop:
				return
			}
		}
	})
	for _, conn := range conns {
		all.Go(func() {
			for n := range tickets {
				if err := conn.post(requests[n%len(requests)]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	end := sync.OnceFunc(func() { close(stop); all.Wait() })
	b.Cleanup(end)
	return func() float64 {
		end()
		return float64(sent*size) / time.Since(began).Seconds()
	}
}

// BenchmarkReady measures from nothing to ready, with everything loaded.
func BenchmarkReady(b *testing.B) {
	w := newBenchWorld(b)
	for b.Loop() {
		a, err := w.open(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := a.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
