package strictyaml

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the known name that the given one is most likely a slip of, or
// "" when none is near: at most a third of its letters, and at least one, may
// differ; two letters that changed places count as one; or one begins with the
// other. Case and the difference of - and _ do not count.
func Nearest(name string, known []string) string {
	const longest = 64
	const shortest = 3 // of a name that another begins with
	if len(name) > longest {
		return ""
	}
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	best, distance := "", max(1, len([]rune(name))/3)+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		d := levenshtein.ComputeDistance(plain(name), plain(k))
		if d == 2 && letters(plain(name)) == letters(plain(k)) {
			d = 1
		}
		if d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	if best != "" || len(name) < shortest {
		return best
	}
	for _, k := range slices.Sorted(slices.Values(known)) {
		if len(k) >= shortest && (strings.HasPrefix(plain(k), plain(name)) || strings.HasPrefix(plain(name), plain(k))) {
			return k
		}
	}
	return ""
}

func letters(s string) string {
	runes := []rune(s)
	slices.Sort(runes)
	return string(runes)
}

// DidYouMean is the advice for a name that is not known: the nearest one, else
// all of them when they are few, else the given advice.
func DidYouMean(name string, known []string, otherwise string) string {
	const few = 12
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if otherwise != "" || len(known) == 0 {
		return otherwise
	}
	if len(known) > few {
		return fmt.Sprintf("%d are known, none of them near", len(known))
	}
	return "known are " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}
