package simtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Result is what became of one seed.
type Result struct {
	Seed    uint64
	Faults  map[Fault]int
	Effects int
	// Counts are how often what is rare happened: take-overs, doubts.
	Counts    map[string]int
	Rollbacks map[backout.RollbackStatus]int
	// Checks is how often the laws were checked.
	Checks  int
	Virtual time.Duration
	// Broken are the laws that did not hold; none when all is well.
	Broken []string
	// Plot is what the seed drew, Story what happened.
	Plot, Story string
	// Digest is of the story without the servers' own logs.
	Digest string
}

func (r Result) faults() int { return total(r.Faults) }

func total[K comparable](count map[K]int) int {
	n := 0
	for _, c := range count {
		n += c
	}
	return n
}

// digest is the same for two stories in which the same happened to the second,
// whichever of the servers did it.
func (s *story) digest() string {
	var lines []string
	for _, l := range s.sorted() {
		if l.kind == "event" || l.kind == "EFFECT" {
			text := regexp.MustCompile(`\b(by|from) server-\d|\(server-\d\)`).ReplaceAllString(l.text, "")
			lines = append(lines, fmt.Sprint(l.at.Sub(s.begin).Round(time.Second), l.kind, text))
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// summary is all results in one line.
func summary(all []Result) string {
	faults, ends, counts := map[Fault]int{}, map[backout.RollbackStatus]int{}, map[string]int{}
	effects, checks, broken, least := 0, 0, 0, 0
	var virtual time.Duration
	for i, r := range all {
		for f, n := range r.Faults {
			faults[f] += n
		}
		for s, n := range r.Rollbacks {
			ends[s] += n
		}
		for what, n := range r.Counts {
			counts[what] += n
		}
		if len(r.Broken) > 0 {
			broken++
		}
		if i == 0 || r.faults() < least {
			least = r.faults()
		}
		effects, checks, virtual = effects+r.Effects, checks+r.Checks, virtual+r.Virtual
	}
	var rollbacks []string
	for _, s := range slices.Sorted(maps.Keys(ends)) {
		rollbacks = append(rollbacks, fmt.Sprintf("%d %s", ends[s], s))
	}
	return fmt.Sprintf("%d seeds, %d broken; %d faults, at least %d a seed (%s); %d effects (attempts: %s); %d rollbacks (%s); laws checked %d times in %s",
		len(all), broken, total(faults), least, listed(faults), effects, listed(counts), total(ends), strings.Join(rollbacks, ", "), checks, virtual.Round(time.Minute))
}
