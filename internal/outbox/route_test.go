package outbox_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/route"
	"github.com/backout-io/backout/notifier"
)

// routed is a bench with three channels and routes.
func (b *bench) routed(t *testing.T, channels map[string]*people, routes ...route.Route) {
	t.Helper()
	nights, err := route.NewInterval(route.Spell{Times: []route.Clock{{Start: "22:00", End: "06:00"}}})
	if err != nil {
		t.Fatal(err)
	}
	c := outbox.Config{
		Channels: map[string]outbox.Channel{}, Audiences: map[string][]string{"ops": {"chat"}, "board": {"mail"}}, Templates: notifier.Default(),
		Kinds: map[string]notifier.AudienceKind{"board": notifier.Stakeholders}, Routes: routes, Intervals: map[string]route.Interval{"nights": nights},
	}
	for name, p := range channels {
		c.Channels[name] = outbox.Channel{Notifier: p}
	}
	if err := b.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

var night = time.Date(2026, 3, 14, 2, 3, 0, 0, time.UTC)

func TestNoticeGoesWhereItIsRouted(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		all := map[string]*people{"chat": {}, "mail": {}, "pager": {}}
		b.routed(t, all,
			route.Route{Audiences: []string{"ops"}, From: 2, Channels: []string{"pager"}, Continue: true},
			route.Route{Moments: []backout.Moment{backout.MomentResumed}, Mute: []string{"nights"}},
		)
		for _, n := range []backout.Notice{
			{ID: "n1", Moment: backout.MomentHeld, Audience: "ops", ChangeID: "CHG1", Level: "L1", At: night},
			{ID: "n2", Moment: backout.MomentHeld, Audience: "ops", ChangeID: "CHG1", Level: "L2", At: night},
			{ID: "n3", Moment: backout.MomentResumed, Audience: "ops", ChangeID: "CHG1", Level: "L1", At: night},
			{ID: "n4", Moment: backout.MomentResumed, Audience: "ops", ChangeID: "CHG1", Level: "L1", At: night.Add(10 * time.Hour)},
		} {
			if err := b.Send(t.Context(), n); err != nil {
				t.Fatal(err)
			}
		}
		pass()
		wantIDs(t, "pager", all["pager"], "n2")
		wantIDs(t, "chat", all["chat"], "n1", "n2", "n4")
		b.Close()
		if !strings.Contains(b.log.String(), "silenced by a time interval") || !strings.Contains(b.log.String(), "notice_id=n3") {
			t.Errorf("nothing says that n3 was silenced: %s", b.log)
		}
		if d := cmp.Diff([]string{"pager", "chat"}, b.Route(backout.Notice{Moment: backout.MomentHeld, Audience: "ops", Level: "L3", At: night})); d != "" {
			t.Error(d)
		}
	})
}

// TestNoticeThatNeedsAPersonIsSentWhateverTheRoutesSay, though the check of the
// config would have refused these.
func TestNoticeThatNeedsAPersonIsSentWhateverTheRoutesSay(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		all := map[string]*people{"chat": {}, "mail": {}}
		b.routed(t, all, route.Route{Mute: []string{"nights"}})
		if err := b.Send(t.Context(), backout.Notice{ID: "n1", Moment: backout.MomentExhausted, Audience: "ops", ChangeID: "CHG1", At: night}); err != nil {
			t.Fatal(err)
		}
		pass()
		wantIDs(t, "chat", all["chat"], "n1")
	})
}

func TestAudienceReadsTheWordsOfItsKind(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		all := map[string]*people{"chat": {}, "mail": {}}
		b.routed(t, all)
		for _, audience := range []string{"ops", "board"} {
			if err := b.Send(t.Context(), backout.Notice{ID: "n1", Moment: backout.MomentHeld, Audience: audience, ChangeID: "CHG1", RollbackID: "r1", At: night}); err != nil {
				t.Fatal(err)
			}
		}
		pass()
		if m := all["chat"].messages(); len(m) != 1 || !strings.Contains(m[0].Text, "backout rollback release r1") {
			t.Errorf("ops read %+v", m)
		}
		if m := all["mail"].messages(); len(m) != 1 || !strings.Contains(m[0].Text, "You need not do anything") || strings.Contains(m[0].Text, "backout rollback release") {
			t.Errorf("the board reads %+v", m)
		}
	})
}

func TestRoutesToNothingAreRefused(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, b *bench) {
		for part, r := range map[string]route.Route{
			`channel "fax"`:          {Channels: []string{"fax"}},
			`time interval "noons"`:  {Routes: []route.Route{{During: []string{"noons"}}}},
			`time interval "nights"`: {Mute: []string{"nights"}},
		} {
			err := b.Update(t.Context(), outbox.Config{
				Channels: map[string]outbox.Channel{"chat": {Notifier: &people{}}}, Audiences: map[string][]string{"ops": {"chat"}}, Templates: notifier.Default(),
				Routes: []route.Route{r},
			})
			if !errors.Is(err, backout.ErrInvalid) || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v", part, err)
			}
		}
	})
}
