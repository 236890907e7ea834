package recorded

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// entriesOf is a server with these entries; an error ends them.
type entriesOf struct {
	list []handlers.HistoryEntry
	err  error
	// given counts those that were read.
	given *int
}

func (s entriesOf) History(_ context.Context, _, _ time.Time, fn func(handlers.HistoryEntry) error) error {
	for _, e := range s.list {
		*s.given++
		if err := fn(e); err != nil {
			return err
		}
	}
	return s.err
}

func post(at time.Time, kind, body string) handlers.HistoryEntry {
	return handlers.HistoryEntry{Post: &handlers.HistoryPost{At: at, Kind: kind, Body: []byte(body)}}
}

func past(kept time.Time) entriesOf {
	return entriesOf{given: new(int), list: []handlers.HistoryEntry{
		{Change: &backout.Change{ChangeSpec: backout.ChangeSpec{ID: "C1"}}},
		{Rollback: &backout.Rollback{ID: "C1-r1"}, Votes: []backout.Vote{{User: "carol"}}},
		post(noon, "webhook", hook("A", "firing", "10:00:00", none)),
		post(noon.Add(time.Minute), "v2", `[{"labels":{"alertname":"B"},"startsAt":"2026-03-01T11:00:00Z"}]`),
		post(noon.Add(30*time.Second), "webhook", hook("A", "resolved", "10:00:00", "2026-03-01T10:30:00Z")), // another server's clock
		post(noon.Add(time.Hour), "webhook", "not JSON"),
		{End: &handlers.HistoryEnd{Posts: 4, KeptSince: kept}},
	}}
}

func TestServersHistory(t *testing.T) {
	s := past(noon)
	h, err := Server(s, noon.Add(-time.Hour), noon)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	if len(h.Past.Changes) != 1 || len(h.Past.Rollbacks) != 1 || h.Past.Rollbacks[0].Votes[0].User != "carol" {
		t.Errorf("past %+v", h.Past)
	}
	var notes []string
	got, err := tell(t, func(ctx context.Context) (*History, error) {
		h, err := Server(s, noon.Add(-time.Hour), noon)(ctx)
		stop := h.Close
		h.Close = func() { notes = h.Notes(); stop() }
		return h, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"12:00:00 firing A since 10:00:00", "12:01:00 firing B since 11:00:00", "12:01:00 resolved A since 10:00:00"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if all := strings.Join(notes, "\n"); len(notes) != 2 || !strings.Contains(all, "1 stored requests cannot be decoded") || !strings.Contains(all, "kept since 2026-03-01T12:00:00Z only") {
		t.Errorf("notes %q", notes)
	}
}

func TestServersChangesAreReadWithoutTheAlerts(t *testing.T) {
	s := past(noon)
	got, err := Changes(t.Context(), s, noon, noon)
	if err != nil || len(got.Changes) != 1 || *s.given != 3 {
		t.Errorf("%d changes of %d entries, %v", len(got.Changes), *s.given, err)
	}
}

func TestServerThatBreaksOffIsAnError(t *testing.T) {
	for n := range 6 {
		s := past(noon)
		s.list, s.err = s.list[:n], errors.New("it was cut off")
		if _, err := tell(t, Server(s, noon, noon)); err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("after %d entries: %v", n, err)
		}
	}
}
