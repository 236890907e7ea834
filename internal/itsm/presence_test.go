package itsm

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestPresenceIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Presence
		if _, known := p.Get("a"); known {
			t.Error("known before it was asked")
		}
		p.Put("a", false)
		p.Put("b", true)
		time.Sleep(absenceLife - time.Second)
		if there, known := p.Get("a"); there || !known {
			t.Errorf("a: %v, known %v", there, known)
		}
		time.Sleep(time.Second)
		if _, known := p.Get("a"); known {
			t.Error("a record that is made meanwhile is not found")
		}
		time.Sleep(presenceLife - absenceLife - time.Second)
		if there, known := p.Get("b"); !there || !known {
			t.Errorf("b: %v, known %v", there, known)
		}
		time.Sleep(time.Second)
		if _, known := p.Get("b"); known {
			t.Error("known for ever")
		}
		for i := range 3 * maxPresence {
			p.Put(strconv.Itoa(i), false)
		}
		if len(p.known) > maxPresence {
			t.Errorf("%d ids are kept", len(p.known))
		}
	})
}
