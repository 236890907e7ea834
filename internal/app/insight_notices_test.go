package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/store"
)

// get reads what the API has at the path, as ann.
func get(ctx context.Context, c *client.Client, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server()+"/api/v1/"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer ann"+releaseToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// noticesOf are the notices of a rollback, one a line.
func noticesOf(t testing.TB, c *client.Client, id string) (string, error) {
	t.Helper()
	var list struct{ Items []handlers.NoticeStatus }
	if err := get(t.Context(), c, "rollbacks/"+id+"/notices", &list); err != nil {
		return "", err
	}
	var lines strings.Builder
	for i, n := range list.Items {
		stands := "waits"
		switch {
		case n.Delivered:
			stands = "delivered"
		case n.GivenUp && strings.Contains(n.Error, "404 Not Found"):
			stands = "given up"
		case !n.GivenUp && n.Tries > 0 && strings.Contains(n.Error, "500 Internal Server Error"):
			stands = "tried"
		case n.GivenUp || n.Tries > 0 || n.Error != "":
			stands = "?"
		}
		fmt.Fprintf(&lines, "%s for %s by %s %s\n", n.Notice.Moment, n.Notice.Audience, n.Channel, stands)
		if n.Notice.RollbackID != id || n.Notice.ID == "" || i > 0 && n.Notice.At.Before(list.Items[i-1].Notice.At) {
			t.Errorf("%+v", n)
		}
		if tried := n.Delivered || n.Tries > 0; n.At.IsZero() == tried {
			t.Errorf("%s by %s was tried %v, at %s", n.Notice.Moment, n.Channel, tried, n.At)
		}
	}
	return lines.String(), nil
}

// TestNoticesOfOneRollback: where each went and what became of it there, in the order of
// what they tell, also after a restart; and the gate's table of the change, which
// outlives the restart too.
func TestNoticesOfOneRollback(t *testing.T) {
	dir := t.TempDir()
	var id, told string
	var table handlers.GateResult
	t.Run("while it runs", func(t *testing.T) {
		h := past{t, serveRelease(t, dir)}
		id = h.start("good", "good")
		h.start("bad", "bad") // beside it
		h.awaitRollback(id, func(r backout.Rollback) bool { return r.Status == backout.RollbackRecovered })
		h.await("every notice was tried", func() (bool, error) {
			var err error
			told, err = noticesOf(t, h.c, id)
			n := strings.Count(told, "\n") / 3
			return n >= 3 && strings.Count(told, "delivered") == n && strings.Count(told, "given up") == n && strings.Count(told, "tried") == 1, err
		})
		moments := []backout.Moment{backout.MomentRed, backout.MomentLevelStarted, backout.MomentRecovered}
		if strings.Contains(told, string(backout.MomentDrift)) { // this machine may well differ by then
			moments = slices.Insert(moments, 2, backout.MomentDrift)
		}
		want, stuck := "", "tried"
		for _, moment := range moments {
			want += fmt.Sprintf("%s for ops by hook delivered\n%[1]s for lost by gone given up\n%[1]s for lost by stuck %s\n", moment, stuck)
			stuck = "waits" // behind the first
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}
		h.ok(get(t.Context(), h.c, "changes/CHG-good/gate", &table))
		if !table.Passed || len(table.Looks) == 0 || table.At.IsZero() {
			t.Errorf("the gate's answer: %+v", table)
		}
	})
	t.Run("after a restart", func(t *testing.T) {
		c := serveRelease(t, dir)
		got, err := noticesOf(t, c, id)
		if diff := cmp.Diff(told, got); diff != "" || err != nil {
			t.Errorf("%v, notices (-before +now):\n%s", err, diff)
		}
		var again handlers.GateResult
		if err := get(t.Context(), c, "changes/CHG-good/gate", &again); err != nil || cmp.Diff(table, again) != "" {
			t.Errorf("%v, the gate's answer (-before +now):\n%s", err, cmp.Diff(table, again))
		}
		for _, path := range []string{"rollbacks/CHG-none-r1/notices", "changes/CHG-none/gate"} {
			if err := get(t.Context(), c, path, &again); err == nil || !strings.Contains(err.Error(), "404") {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

// BenchmarkRollbackNotices lists the notices of one rollback on a server that has
// delivered 100,000 of others; a few when it is only tried. It must take less than 50 ms.
func BenchmarkRollbackNotices(b *testing.B) {
	dir := b.TempDir()
	seedStore(b, filepath.Join(dir, "data"), func(s *store.Store) { deliverOthers(b, s, scaled(100_000)) })
	h := past{b, serveRelease(b, dir)}
	id := h.start("good", "good")
	h.awaitRollback(id, func(r backout.Rollback) bool { return r.Status == backout.RollbackRecovered })
	h.await("all is delivered", func() (bool, error) {
		got, err := noticesOf(b, h.c, id)
		return strings.Count(got, "\n") >= 9, err
	})
	for b.Loop() {
		if _, err := noticesOf(b, h.c, id); err != nil {
			b.Fatal(err)
		}
	}
	if each := b.Elapsed() / time.Duration(b.N); each > 50*time.Millisecond {
		b.Errorf("takes %s", each)
	}
}

// deliverOthers queues n notices of other rollbacks, and delivers them.
func deliverOthers(b *testing.B, s *store.Store, n int) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := range n / 16 {
				notice := backout.Notice{ID: fmt.Sprintf("CHG%d-%d-r1.%d.0", w, i/30, i%30), RollbackID: fmt.Sprintf("CHG%d-%d-r1", w, i/30)}
				if err := s.Outbox.Put(ctx, fmt.Sprint("hook", w%4), notice); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	var left atomic.Int64
	left.Store(int64(n / 16 * 16))
	for w := range 4 {
		all.Go(func() {
			_ = s.Outbox.Consume(ctx, fmt.Sprint("hook", w), func(context.Context, backout.Notice) (backout.Receipt, error) {
				if left.Add(-1) == 0 {
					cancel() // what was taken is still settled
				}
				return backout.Receipt{Ref: "1784567890.123456", Channel: "C0123456789"}, nil
			})
		})
	}
	all.Wait()
}
