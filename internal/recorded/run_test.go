package recorded

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/planhash"
	"github.com/backout-io/backout/internal/replay"
	"github.com/backout-io/backout/rules"
)

// TestRun: rules do what their file says, or what the trial does; one may be reported on
// alone; and what they say is bounded.
func TestRun(t *testing.T) {
	set, problems := rules.Load(map[string][]byte{"r.yaml": []byte("groups:\n  - name: g\n    rules:\n" +
		"      - {rule: One, match: [alertname=\"A\"], mode: auto}\n      - {rule: Two, match: [alertname=\"A\"]}\n")})
	if err := problems.Fatal(); err != nil {
		t.Fatal(err)
	}
	plan := backout.Plan{Name: "p", Levels: []backout.Level{{Name: "L1"}}}
	frozen := planhash.Freeze(plan)
	c := backout.Change{ChangeSpec: backout.ChangeSpec{ID: "C1", Plan: "p", Targets: []string{"web-1"}}, State: backout.ChangeOpen, OpenedAt: noon, Frozen: &frozen}
	body := `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A","instance":"web-1"},"startsAt":"2026-03-01T12:01:00Z"}]}`
	server := entriesOf{given: new(int), list: []handlers.HistoryEntry{
		{Change: &c}, post(noon.Add(2*time.Minute), "webhook", body), {End: &handlers.HistoryEnd{Posts: 1, KeptSince: noon}},
	}}
	other := func(r rules.Rule) backout.Mode {
		return map[string]backout.Mode{"One": backout.ModeShadow, "Two": backout.ModeAuto}[r.Name]
	}
	for name, test := range map[string]struct {
		t    Trial
		bare bool // the change was stored without its plan
		want []string
		err  error
	}{
		"as the files say":           {Trial{}, false, []string{"One auto C1-r1", "Two shadow "}, nil},
		"one of them":                {Trial{Only: "Two"}, false, []string{"Two shadow "}, nil},
		"one of them, which may act": {Trial{Only: "Two", Options: replay.Options{Modes: other}}, false, []string{"Two auto C1-r1"}, nil},
		"as much as was asked for":   {Trial{Most: 2}, false, []string{"One auto C1-r1", "Two shadow "}, nil},
		"more than was asked for":    {Trial{Most: 1}, false, nil, ErrTooMuch},
		"with the plan of today":     {Trial{Only: "One", Plans: map[string]backout.Plan{"p": plan}}, true, []string{"One auto C1-r1"}, nil},
		"without any plan":           {Trial{}, true, nil, backout.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			test.t.Rules, test.t.Options.Until = set, noon.Add(time.Hour)
			if c.Frozen = &frozen; test.bare {
				c.Frozen = nil
			}
			report, notes, err := Run(t.Context(), Server(server, noon, noon.Add(time.Hour)), test.t)
			if !errors.Is(err, test.err) {
				t.Fatal(err)
			}
			var got []string
			for _, row := range report.Rows {
				got = append(got, fmt.Sprintf("%s %s %s", row.Rule, row.Mode, row.RollbackID))
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err == nil && notes == nil {
				t.Errorf("notes %v (-want +got):\n%s", notes, diff)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	server.err = context.Canceled
	server.list = nil
	if _, _, err := Run(ctx, Server(server, noon, noon), Trial{Rules: set}); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
