package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
)

// TestHistoryTellsWhatWas: the changes that were open then, their rollbacks with the
// votes, the posts in order, and an end that counts them.
func TestHistoryTellsWhatWas(t *testing.T) {
	withTargets(t, func(t *testing.T, w *openWorld) {
		e := w.serve("me", w.store)
		defer e.Close()
		w.planned(e, "CHG1")
		w.planned(e, "CHG2")
		begin := time.Now()
		if _, err := e.OpenChange(t.Context(), alice, "CHG1"); err != nil {
			t.Fatal(err)
		}
		r, err := e.StartRollback(t.Context(), alice, handlers.StartRequest{ChangeID: "CHG1", Targets: []string{"web1"}, Level: "L2", Reason: "broken"})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		carol := handlers.Actor{Name: "carol", Groups: []string{"sre"}}
		if r, err = e.Rollback(t.Context(), r.ID); err == nil && r.Ask != nil {
			_, err = e.Vote(t.Context(), carol, r.ID, r.Ask.ID, backout.ChoiceApprove, "go")
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			time.Sleep(time.Hour)
			if _, err := w.store.Alerts.Append(t.Context(), store.Post{Kind: "webhook", ReceivedAt: time.Now().UTC(), Body: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
		}
		// Rounded: opening and voting take a little of the virtual time too.
		tell := func(since, until time.Duration) []string {
			var out []string
			err := e.History(t.Context(), begin.Add(since), begin.Add(until), func(h handlers.HistoryEntry) error {
				switch {
				case h.Change != nil:
					out = append(out, "change "+h.Change.ID)
				case h.Rollback != nil:
					out = append(out, fmt.Sprintf("rollback %s %d votes of %s", h.Rollback.ID, len(h.Votes), h.Votes[0].User))
				case h.Post != nil:
					out = append(out, fmt.Sprintf("post %s %s", h.Post.At.Sub(begin).Round(time.Second), h.Post.Body))
				case h.End != nil:
					out = append(out, fmt.Sprintf("end %d %d %d since %s", h.End.Changes, h.End.Rollbacks, h.End.Posts, h.End.KeptSince.Sub(begin).Round(time.Second)))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		change := []string{"change CHG1", "rollback CHG1-r1 1 votes of carol"}
		for _, test := range []struct {
			since, until time.Duration
			want         []string
		}{
			{0, 9 * time.Hour, slices.Concat(change, []string{"post 1h0m0s 0", "post 2h0m0s 1", "post 3h0m0s 2", "end 1 1 3 since 1h0m0s"})},
			{90 * time.Minute, 150 * time.Minute, slices.Concat(change, []string{"post 2h0m0s 1", "end 1 1 1 since 1h0m0s"})},
			{-2 * time.Hour, -time.Hour, []string{"end 0 0 0 since 1h0m0s"}},
			{200 * time.Hour, 201 * time.Hour, []string{"end 0 0 0 since 1h0m0s"}},
		} {
			if diff := cmp.Diff(test.want, tell(test.since, test.until)); diff != "" {
				t.Errorf("%s to %s (-want +got):\n%s", test.since, test.until, diff)
			}
		}
		told := 0
		count := func(handlers.HistoryEntry) error { told++; return nil }
		if err := e.HistoryOf(t.Context(), begin, begin.Add(9*time.Hour), 1, count); err != nil || told == 0 {
			t.Errorf("a history of as many changes as there are: %d entries, %v", told, err)
		}
		told = 0
		if err := e.HistoryOf(t.Context(), begin, begin.Add(9*time.Hour), 0, count); !errors.Is(err, backout.ErrInvalid) || told != 0 {
			t.Errorf("a history of more: %d entries, %v", told, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.History(ctx, begin, begin.Add(9*time.Hour), func(handlers.HistoryEntry) error { return nil }); err == nil {
			t.Error("a history that was given up has an end")
		}
	})
}
