package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

// asking are the changes whose gate somebody has asked for on a page of this server, and
// that waits for its answer. It is safe for concurrent use.
type asking struct {
	mu  sync.Mutex
	ids map[string]bool
}

// begin notes that the gate of the change is asked; false when it is being asked already.
func (a *asking) begin(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids == nil {
		a.ids = map[string]bool{}
	}
	if a.ids[id] {
		return false
	}
	a.ids[id] = true
	return true
}

func (a *asking) end(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.ids, id)
}

func (a *asking) has(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ids[id]
}

// gateActions are the routes by which the gate is asked.
func (d *Dashboard) gateActions() []handlers.PageRoute {
	return []handlers.PageRoute{{
		Method: "POST", Path: "/changes/{id}/gate", Needs: "change", Slow: true, Enduring: true, Serve: d.askGate,
		Doc: "Asks the gate about the change, as its page of readiness offers it.",
	}}
}

var errBeingAsked = handlers.Refuse(http.StatusConflict, "conflict", "the gate is being asked about this change already: its answer will stand here")

// askGate asks the gate, and leads back to its answer, a no as well as a yes. A browser
// drops its request when somebody presses twice: the gate is asked on, since the second
// press is told that the answer will stand here.
func (d *Dashboard) askGate(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	id, err := handlers.PathName(r, "id")
	if err != nil {
		return err
	}
	form, err := handlers.Form(w, r, maxForm, "back")
	if err != nil {
		return err
	}
	c, err := d.o.Services.Changes.Change(r.Context(), id)
	if err != nil {
		return err
	}
	if err := d.askOnce(r.Context(), by, &c); err != nil {
		return d.refused(w, r, by, "/readiness", err, nil)
	}
	fragment := "#" + url.PathEscape(id)
	if form("back") == "change" {
		return d.goTo(w, "/readiness?"+url.Values{"change": {id}}.Encode()+fragment)
	}
	return d.goTo(w, "/readiness"+fragment)
}

// askOnce asks the gate unless it is being asked. Its no is an answer, and no error.
func (d *Dashboard) askOnce(ctx context.Context, by handlers.Actor, c *backout.Change) error {
	// Whoever may not ask is told that, and not that somebody does.
	if d.o.Services.May(by, access.ActionChange, c.Targets) {
		if !d.asking.begin(c.ID) {
			return errBeingAsked
		}
		d.hub.changed()
		defer func() {
			d.asking.end(c.ID)
			d.hub.changed()
		}()
	}
	_, err := d.o.Services.Changes.CheckGate(ctx, by, c.ID)
	var no *backout.RefusedError
	if errors.As(err, &no) {
		return nil
	}
	return err
}
