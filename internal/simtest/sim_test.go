package simtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seeds = flag.String("seeds", "1-25", "which seeds TestSimulation plays: numbers and ranges, such as 7,20-40")
	part  = flag.String("results", "", "where TestSimulation writes what became of its seeds, for the process that shared them out")
)

// TestSimulation plays seeds: random worlds with random faults, in which the laws
// must hold after every step and everything must come to its end.
func TestSimulation(t *testing.T) {
	begin := time.Now()
	list, err := parseSeeds(*seeds)
	if err != nil {
		t.Fatal(err)
	}
	var all []Result
	if n := runtime.NumCPU(); *part == "" && n > 1 && len(list) > 1 {
		all = shareOut(t, list, min(n, len(list)))
	} else {
		all = play(t, list)
	}
	if *part != "" {
		write(t, *part, all)
		return
	}
	t.Logf("%s, in %s", summary(all), time.Since(begin).Round(100*time.Millisecond))
}

// play plays seeds one after the other. With one processor only, since goroutines
// then overtake each other least, and a seed tells the same story again.
func play(t *testing.T, list []uint64) []Result {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	out := make([]Result, len(list))
	for i, seed := range list {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := Simulate(t, seed)
			if out[i] = r; len(r.Broken) == 0 && r.faults() < leastFaults {
				t.Errorf("%d faults only", r.faults())
			}
			for _, broken := range r.Broken {
				t.Error(broken)
			}
			if t.Failed() || len(list) == 1 {
				t.Logf("\n%s\n%s", r.Plot, r.Story)
			}
			if t.Failed() {
				t.Logf("seed %d broke: %s\nreplay it: make sim SEEDS=%d", seed, strings.Join(r.Broken, "; "), seed)
			}
		})
	}
	return out
}

// shareOut plays the seeds in several processes at once.
func shareOut(t *testing.T, list []uint64, n int) []Result {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	results := make([][]Result, n)
	var all sync.WaitGroup
	for i := range n {
		file := filepath.Join(t.TempDir(), "results")
		var mine []string
		for j := i; j < len(list); j += n {
			mine = append(mine, fmt.Sprint(list[j]))
		}
		all.Go(func() {
			//nolint:gosec // the test itself
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestSimulation$", "-test.timeout=0", "-seeds="+strings.Join(mine, ","), "-results="+file)
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, said)
			}
			results[i] = read(t, file)
		})
	}
	all.Wait()
	var out []Result
	for _, r := range results {
		out = append(out, r...)
	}
	return out
}

func write(t *testing.T, file string, all []Result) {
	t.Helper()
	for i := range all {
		all[i].Plot, all[i].Story = "", ""
	}
	data, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) []Result {
	t.Helper()
	data, err := os.ReadFile(file)
	var all []Result
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	if err != nil {
		t.Errorf("results of a part: %v", err)
	}
	return all
}
