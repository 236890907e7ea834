package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/bus"
)

// liar is a runner that takes every attempt, and says of it whatever it wants.
type liar struct {
	desk
	address string
	says    func(order) reply
}

func (l *liar) answer(r reply) bus.Message {
	r.Version, r.Runner = version, "liar"
	if r.Address == "" {
		r.Address = "liar.1"
	}
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return bus.Message{Data: data}
}

// Gather implements Conn.
func (l *liar) Gather(_ context.Context, _ bus.Message, take func(bus.Message) bool) error {
	take(l.answer(reply{Free: 1, Address: l.address}))
	return nil
}

// Request implements Conn.
func (l *liar) Request(ctx context.Context, m bus.Message) (bus.Message, error) {
	var o order
	if err := json.Unmarshal(m.Data, &o); err != nil {
		return bus.Message{}, err
	}
	return l.answer(l.says(o)), ctx.Err()
}

func (l *liar) hub(t *testing.T) *Hub {
	t.Helper()
	key, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHub(HubOptions{Conn: l, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestALiarCannotFillAServer: sizes that no runner has end the attempt for this
// runner, before the server has kept more than a runner may.
func TestALiarCannotFillAServer(t *testing.T) {
	piece := make([]byte, 512<<10)
	end := &result{Outcome: backout.Outcome{}}
	for name, s := range map[string]state{
		"more kept than is kept":    {Result: end, KeptSize: 1 << 40, Kept: piece},
		"less than nothing":         {Result: end, KeptSize: -1, Kept: piece},
		"more kept than it says":    {Result: end, KeptSize: 600 << 10, Kept: piece},
		"output from nowhere":       {Offset: 1 << 60, Output: []byte("x")},
		"output from before it all": {Offset: -1 << 63, Output: []byte("x")},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		watched := 0
		l := &liar{says: func(o order) reply {
			if o.Op != opWatch {
				return reply{}
			}
			if watched++; watched > 5 {
				cancel()
			}
			if o.Watch.Kept > keptMost {
				t.Errorf("%s: %d bytes are kept", name, o.Watch.Kept)
			}
			return reply{State: &s}
		}}
		j, _ := job(here, 1, step("true"))
		r := l.hub(t).Site("fra").Run(ctx, j)
		if !r.Unclaimed || !errors.Is(r.Err, errNonsense) || len(r.Output) > 0 {
			t.Errorf("%s: %v, %d bytes of output after %d watches", name, r.Err, len(r.Output), watched)
		}
		cancel()
	}
}

// TestALiarsAddressIsNoSubject of its choice.
func TestALiarsAddressIsNoSubject(t *testing.T) {
	for _, address := range []string{"", ">", "fra-1", "fra-1.>", "fra-1.x.y", "fra-1.x y", "fra-1.x\r\nPUB", strings.Repeat("a", 65) + ".x"} {
		l := &liar{says: func(order) reply { return reply{} }}
		m := l.answer(reply{Address: "x"})
		m.Data = []byte(strings.Replace(string(m.Data), `"address":"x"`, fmt.Sprintf(`"address":%q`, address), 1))
		if _, err := read(m); !errors.Is(err, errNonsense) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestWhatALiarTellsIsClipped in every text, and in their number.
func TestWhatALiarTellsIsClipped(t *testing.T) {
	long := strings.Repeat("é", 1<<17)
	many := make([]backout.Violation, 1000)
	for i := range many {
		many[i] = backout.Violation{Check: "c", Reason: "r"}
	}
	many[0] = backout.Violation{Check: long, Target: long, Level: long, Reason: long, Fix: long}
	for name, r := range map[string]reply{
		"refused": {Refused: long, Address: long},
		"look":    {Detail: long, Failed: true, Violations: many},
		"ask":     {State: &state{Ask: &ask{Number: long, What: long, Boot: long}}},
		"result":  {State: &state{Result: &result{Error: long, Outcome: backout.Outcome{Summary: long}}}},
	} {
		l := &liar{}
		m := l.answer(r)
		m.Data = []byte(strings.Replace(string(m.Data), `"runner":"liar"`, fmt.Sprintf(`"runner":%q`, long), 1))
		got, err := read(m)
		if refused := (refusal{}); err != nil && (!errors.As(err, &refused) || len(err.Error()) > 2000) {
			t.Errorf("%s: %d bytes of error", name, len(err.Error()))
		}
		got.Address = ""
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 10_000 || len(got.Violations) > violationsMost {
			t.Errorf("%s: %d bytes, %d violations are left", name, len(data), len(got.Violations))
		}
	}
}

// TestALongSummaryEndsTheAttempt with as much of it as a record takes.
func TestALongSummaryEndsTheAttempt(t *testing.T) {
	l := &liar{says: func(o order) reply {
		if o.Op != opWatch {
			return reply{}
		}
		return reply{State: &state{Result: &result{Outcome: backout.Outcome{Summary: strings.Repeat("x", 1000<<10)}}}}
	}}
	j, _ := job(here, 1, step("true"))
	r := l.hub(t).Site("fra").Run(t.Context(), j)
	wantDone(t, r)
	if n := len(r.Outcome.Summary); n == 0 || n > textMost+3 {
		t.Errorf("%d bytes of summary", n)
	}
}

// TestALiarIsNotAskedWithoutPause, however fast it answers.
func TestALiarIsNotAskedWithoutPause(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	watched := 0
	l := &liar{says: func(o order) reply {
		watched++
		return reply{State: &state{}}
	}}
	j, _ := job(here, 1, step("true"))
	l.hub(t).Site("fra").Run(ctx, j)
	if most := int(500*time.Millisecond/leastTurn) + 10; watched > most {
		t.Errorf("watched %d times in half a second, want at most %d", watched, most)
	}
}

// TestHellosAreBounded: whoever says hello under one name in ever new lives keeps
// nobody else out of the list, and none of its numbers is out of the world.
func TestHellosAreBounded(t *testing.T) {
	h := (&liar{}).hub(t)
	greet := func(site, name, address string, running int) {
		data, err := json.Marshal(hello{Version: version, Address: address, Release: strings.Repeat("x", 1<<10), Running: running, Slots: 1 << 40})
		if err != nil {
			t.Fatal(err)
		}
		h.greeted(bus.Message{Subject: hellos(site, name), Data: data})
	}
	for i := range 20_000 {
		greet("fra", "fra-1", fmt.Sprint("fra-1.", i), -7)
	}
	greet("fra", "fra-2", "fra-2.x", 3)
	greet("fra", strings.Repeat("a", 65), strings.Repeat("a", 65)+".x", 3)
	greet("fra", "fra-3", "fra-3.x y", 3)
	list := h.Runners()
	if len(list) != livesMost+1 || list[livesMost].Name != "fra-2" {
		t.Errorf("%d runners are seen", len(list))
	}
	for _, r := range list {
		if r.Running < 0 || r.Slots > slotsMost || len(r.Release) > 100 {
			t.Errorf("%+v", r)
		}
	}
}
