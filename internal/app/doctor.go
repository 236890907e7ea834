package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/backout-io/backout"
)

// Doctor returns what [Check] does, and what the other sides of the channels say:
// refused tokens, missing scopes, channels that the app is not in, clocks that are off.
// It posts nothing.
func Doctor(ctx context.Context, path string) backout.Problems {
	problems := Check(ctx, path)
	if problems.Fatal() != nil {
		return problems
	}
	l, _ := load(path)
	if l == nil {
		return problems
	}
	out, err := l.outboxConfig(ctx)
	if err != nil {
		return problems // Check has said it
	}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, name := range slices.Sorted(maps.Keys(out.Channels)) {
		asking.Go(func() {
			found, _ := examineChannel(ctx, out.Channels[name])
			mu.Lock()
			defer mu.Unlock()
			for _, p := range found {
				p.File, p.What = path, "channel "+name+": "+p.What
				problems = append(problems, p)
			}
		})
	}
	asking.Wait()
	slices.SortStableFunc(problems, func(a, b backout.Problem) int { return strings.Compare(a.What, b.What) })
	problems.Sort()
	return problems
}
