package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus/bustest"
	"github.com/backout-io/backout/internal/store"
)

// follow reads what there is after the place.
func followAfter(t *testing.T, log *store.Log, p store.Place) ([]string, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err := log.FollowAfter(ctx, p, func(e store.Entry) error {
		got = append(got, fmt.Sprint(e.ID, e.Seq))
		return nil
	}, cancel)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return got, err
}

func TestFollowAfterGoesOnFromWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), store.Options{JS: bustest.Start(t).JetStream(), Server: "me"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		var seqs [4]uint64 // a, b, a, c
		last := map[string]uint64{}
		for i, id := range []string{"a", "b", "a", "c"} {
			rec := backout.Record{Op: fmt.Sprint("op", i+1), Events: []backout.Event{backout.Paused{}}}
			if seqs[i], err = s.Rollbacks.Append(t.Context(), id, last[id], rec); err != nil {
				t.Fatal(err)
			}
			last[id] = seqs[i]
		}
		for _, c := range []struct {
			name string
			from store.Place
			want []string
			err  string
		}{
			{"from the beginning", store.Place{}, []string{"a1", "b2", "a3", "c4"}, ""},
			{"from the second", store.Place{Seq: 2, ID: "b", Op: "op2", Last: map[string]uint64{"a": 1, "b": 2}}, []string{"a3", "c4"}, ""},
			{"from the end", store.Place{Seq: 4, ID: "c", Op: "op4", Last: map[string]uint64{"a": 3, "b": 2, "c": 4}}, nil, ""},
			{"what is known of an id is not what goes on", store.Place{Seq: 2, ID: "b", Op: "op2", Last: map[string]uint64{"b": 2}}, nil, "records of a are missing"},
			{"an id begins that was there", store.Place{Seq: 2, ID: "b", Op: "op2", Last: map[string]uint64{"a": 1, "b": 2, "c": 1}}, []string{"a3"}, "records of c are missing"},
			{"the log ends before", store.Place{Seq: 5, ID: "c", Op: "op5", Last: map[string]uint64{}}, nil, "missing"},
			{"another operation", store.Place{Seq: 2, ID: "b", Op: "other", Last: map[string]uint64{}}, nil, "another record"},
			{"another id", store.Place{Seq: 2, ID: "c", Op: "op2", Last: map[string]uint64{}}, nil, "another record"},
		} {
			got, err := followAfter(t, s.Rollbacks, c.from)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
			switch {
			case c.err == "" && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "restore the store from a backup")):
				t.Errorf("%s: error %v, want %q and what to do", c.name, err, c.err)
			}
		}
	})
}

func TestDeletedArtifactIsGoneAndMayComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := bustest.Start(t).JetStream()
		s, err := store.Open(t.Context(), store.Options{JS: js, Server: "me"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		digest, err := s.Artifacts.Put(t.Context(), []byte("once"))
		other, err2 := s.Artifacts.Put(t.Context(), []byte("other"))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Artifacts.Delete(t.Context(), digest); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Artifacts.Get(t.Context(), digest); !errors.Is(err, backout.ErrNotFound) {
				t.Errorf("it is there: %v", err)
			}
		}
		stream, err := js.Stream(t.Context(), "OBJ_BACKOUT_ARTIFACTS")
		if err != nil {
			t.Fatal(err)
		}
		if n := stream.CachedInfo().State.Msgs; n != 2 {
			t.Errorf("%d messages are left, want the two of the other artifact", n)
		}
		again, err := s.Artifacts.Put(t.Context(), []byte("once"))
		if err != nil || again != digest {
			t.Errorf("%s, %v", again, err)
		}
		for name, want := range map[string]string{digest: "once", other: "other"} {
			if got, err := s.Artifacts.Get(t.Context(), name); err != nil || string(got) != want {
				t.Errorf("got %q, %v", got, err)
			}
		}
	})
}
