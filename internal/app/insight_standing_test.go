package app

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/engine"
	"github.com/backout-io/backout/internal/outbox"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/notifier"
)

// quiet is an outbox's store in which nothing is.
type quiet struct{ outbox.Store }

func (quiet) Waiting(context.Context) ([]store.Pending, error) { return nil, nil }

func (quiet) Consume(ctx context.Context, _ string, _ store.DeliverFunc) error {
	<-ctx.Done()
	return ctx.Err()
}

type mute struct{}

func (mute) Notify(context.Context, backout.Message) (backout.Receipt, error) {
	return backout.Receipt{}, nil
}

// TestWhereOneEventsNoticesStand: a channel that serves two audiences has one of their
// notices; what the outbox has had is where it went, whatever the routes say by now, and
// what it has not had waits where it will go.
func TestWhereOneEventsNoticesStand(t *testing.T) {
	templates, problems := notifier.NewTemplates(nil)
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	box := outbox.New(outbox.Options{Store: quiet{}})
	defer box.Close()
	channel := outbox.Channel{Notifier: mute{}}
	err := box.Update(t.Context(), outbox.Config{
		Channels: map[string]outbox.Channel{"slack": channel, "mail": channel, "desk": channel}, Templates: templates,
		Audiences: map[string][]string{"ops": {"slack", "mail"}, "bosses": {"desk", "slack"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	i := insight{app: &App{outbox: box}}
	group := func(handedOver bool) (out []engine.LoggedNotice) {
		for _, audience := range []string{"ops", "bosses"} {
			out = append(out, engine.LoggedNotice{Notice: backout.Notice{ID: "r.1.0", Audience: audience}, HandedOver: handedOver})
		}
		return out
	}
	for name, tt := range map[string]struct {
		handedOver bool
		known      []store.Delivery
		want       string
	}{
		"all of it waits":                  {false, nil, "ops mail waits; ops slack waits; bosses desk waits"},
		"it went out before the routes":    {true, []store.Delivery{{Channel: "pager", Audience: "bosses", Delivered: true}}, "bosses pager delivered"},
		"half of it is handed over":        {false, []store.Delivery{{Channel: "mail", Audience: "ops", GivenUp: true}}, "ops mail given up; ops slack waits; bosses desk waits"},
		"it was for the other audience":    {true, []store.Delivery{{Channel: "slack", Audience: "bosses"}}, "bosses slack waits"},
		"an older release told":            {true, []store.Delivery{{Channel: "desk", Delivered: true}, {Channel: "slack", Delivered: true}}, "ops slack delivered; bosses desk delivered"},
		"an older one, by another channel": {true, []store.Delivery{{Channel: "pager", Delivered: true}}, "ops pager delivered"},
		"nobody was to be told":            {true, nil, ""},
	} {
		var got []string
		for _, n := range i.standing(group(tt.handedOver), tt.known) {
			stands := "waits"
			if n.Delivered {
				stands = "delivered"
			} else if n.GivenUp {
				stands = "given up"
			}
			got = append(got, fmt.Sprint(n.Notice.Audience, " ", n.Channel, " ", stands))
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
