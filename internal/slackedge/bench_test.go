package slackedge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout/internal/slackfake"
	"github.com/backout-io/backout/notifier/slack"
)

// round opens a rollback, lets somebody approve it, and returns how long its card took
// and how long the buttons stayed after the decision was on record.
func (w *world) round(i int) (card, gone time.Duration) {
	id := fmt.Sprintf("r%d", i)
	began := time.Now()
	w.open(id, votesOf(1))
	m := w.card(id, slack.ActionApprove)
	card = m.PostedAt.Sub(began)
	w.click("Uana", m, slack.ActionApprove)
	decided := w.rollbacks.lastMove(id)
	w.await("buttons gone", func() bool {
		m = w.card(id, "")
		return !strings.Contains(strings.Join(m.Buttons(), " "), slack.ActionApprove)
	})
	return card, m.EditedAt.Sub(decided)
}

func TestCardsAreQuick(t *testing.T) {
	w := newWorld(t, slackfake.Options{Unlimited: true})
	for i := range 20 {
		card, gone := w.round(i)
		if card > 2*time.Second || gone > time.Second {
			t.Errorf("red to card %v, want under 2 s; decision to card %v, want under 1 s", card, gone)
		}
	}
}

// BenchmarkCards is from red to the card, and from a decision on record to its card,
// through a real store, HTTP and a websocket.
func BenchmarkCards(b *testing.B) {
	w := newWorld(b, slackfake.Options{Unlimited: true})
	var cards, gone []time.Duration
	i := 0
	for b.Loop() {
		c, g := w.round(i)
		cards, gone = append(cards, c), append(gone, g)
		i++
	}
	p99 := func(all []time.Duration) float64 {
		slices.Sort(all)
		return float64(all[len(all)*99/100]) / float64(time.Millisecond)
	}
	b.ReportMetric(p99(cards), "red-to-card-p99-ms")
	b.ReportMetric(p99(gone), "decision-to-card-p99-ms")
}
