package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/rules"
)

// watching is a monitoring that has waited for its watchdog since now, in virtual time.
func watching(t *testing.T, test func(t *testing.T, m *monitoring)) {
	t.Helper()
	watchdog, err := rules.ParseMatchers([]string{`alertname="Watchdog"`})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{}
		e.config.Store(&Config{Monitoring: &Monitoring{Watchdog: watchdog, MissingAfter: 10 * time.Minute}})
		m := newMonitoring(e)
		m.begin(e.cfg().Monitoring, time.Now())
		test(t, m)
	})
}

// barks lets the watchdog arrive, by the clock of who received it.
func (m *monitoring) barks(at time.Time) {
	m.takes(&backout.Alert{Fingerprint: "w", Firing: true, Labels: map[string]string{"alertname": "Watchdog"}, StartsAt: time.Unix(0, 0)}, at)
}

// TestAClockThatIsAheadBlindsNobody: neither does it keep a blindness from being found,
// nor from being over.
func TestAClockThatIsAheadBlindsNobody(t *testing.T) {
	const ahead = 1000 * time.Hour
	for name, arrives := range map[string]func(m *monitoring){
		"never came": func(m *monitoring) { m.from = time.Now().Add(ahead) },
		"came ahead": func(m *monitoring) { m.barks(time.Now().Add(ahead)) },
		"was set back": func(m *monitoring) {
			m.barks(time.Now())
			m.dogs["w"].seen, m.dogs["w"].open = time.Now().Add(ahead), time.Now().Add(ahead)
		},
		"ended ahead": func(m *monitoring) {
			m.barks(time.Now())
			m.dogs["w"].gone, m.dogs["w"].endedSeen = true, time.Now().Add(ahead)
		},
		"came as it must": func(m *monitoring) { m.barks(time.Now()) },
	} {
		t.Run("found: "+name, func(t *testing.T) {
			watching(t, func(t *testing.T, m *monitoring) {
				arrives(m)
				m.begin(m.e.cfg().Monitoring, time.Now())
				time.Sleep(11 * time.Minute)
				if m.red() == "" {
					t.Error("not blind although the watchdog is missing")
				}
			})
		})
	}
	t.Run("over", func(t *testing.T) {
		watching(t, func(t *testing.T, m *monitoring) {
			time.Sleep(11 * time.Minute)
			m.barks(time.Now())
			time.Sleep(time.Minute)
			m.learn(blindness{Now: blindSpan{Since: time.Now().Add(ahead), FoundAt: time.Now().Add(ahead)}})
			if m.red() == "" {
				t.Error("not blind although it was found, and the watchdog came before that")
			}
			time.Sleep(time.Minute)
			m.barks(time.Now())
			if red := m.red(); red != "" {
				t.Error("still: " + red)
			}
		})
	})
}

// TestTheSameConfigReadAgainSeesNoMore: a reload is no reason to call anything green.
func TestTheSameConfigReadAgainSeesNoMore(t *testing.T) {
	watching(t, func(t *testing.T, m *monitoring) {
		time.Sleep(11 * time.Minute)
		same := *m.e.cfg().Monitoring
		m.e.config.Store(&Config{Monitoring: &same})
		if m.red() == "" {
			t.Error("not blind after a reload")
		}
	})
}
