package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// figures are what is counted of trials with the same fault.
type figures struct {
	kind                       string
	trials, twice, stuck, lost int
	notices, untold, doubled   int
	// doubts say what was in doubt, and why; never counts the attempts whose level
	// was over before they could begin.
	doubts  []string
	never   int
	resumed []time.Duration
}

func (f *figures) add(o figures) {
	f.trials += o.trials
	f.twice += o.twice
	f.stuck += o.stuck
	f.lost += o.lost
	f.notices += o.notices
	f.untold += o.untold
	f.doubled += o.doubled
	f.doubts = append(f.doubts, o.doubts...)
	f.never += o.never
	f.resumed = append(f.resumed, o.resumed...)
}

// quantile of the times from the fault to the first action after it.
func (f *figures) quantile(q float64) string {
	if len(f.resumed) == 0 {
		return "-"
	}
	sorted := slices.Sorted(slices.Values(f.resumed))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(time.Millisecond).String()
}

// table is the figures by fault and of all, as Markdown.
func table(title string, trials []*trial) string {
	kinds := map[string]*figures{}
	all := &figures{kind: "all"}
	for _, tr := range trials {
		f := kinds[tr.figures.kind]
		if f == nil {
			f = &figures{kind: tr.figures.kind}
			kinds[f.kind] = f
		}
		f.add(tr.figures)
		all.add(tr.figures)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n| fault | trials | effects twice | stuck | records lost | in doubt | never begun, level over | notices (lost, came twice) | first action after it p50 | p99 | most |\n", title)
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		kinds[kind].row(&b)
	}
	all.row(&b)
	for _, doubt := range all.doubts {
		fmt.Fprintf(&b, "\nIn doubt, and told: %s\n", doubt)
	}
	return b.String()
}

func (f *figures) row(b *strings.Builder) {
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %d | %d (%d, %d) | %s | %s | %s |\n", f.kind, f.trials, f.twice, f.stuck, f.lost, len(f.doubts), f.never,
		f.notices, f.untold, f.doubled, f.quantile(0.5), f.quantile(0.99), f.quantile(1))
}

// publish shows the table, and keeps it where the run was asked for by name.
func publish(t testing.TB, text string) {
	t.Helper()
	t.Log("\n" + text)
	file := os.Getenv("BACKOUT_CHAOS_TABLE")
	if file == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text + "\n"); err != nil {
		t.Fatal(err)
	}
}
