package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/ui"
)

const (
	// settingsNotices is how many notices are shown that have not arrived, settingsTokens
	// how many tokens that have ended.
	settingsNotices = 50
	settingsTokens  = 20
	// settingsWait is how long the page waits for what the store has to be read for.
	settingsWait = 3 * time.Second
)

// settings builds the page of how the server is, from what it knows by itself.
func (d *Dashboard) settings(ctx context.Context, q *query) (ui.Content, error) {
	seen, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	out := ui.Settings{Checks: seen.checks(q.now)}
	return d.filled(ctx, q, out, seen), nil
}

// examine builds the same page with what other systems say. They are asked first, so that
// who may not have them asked reaches nothing.
func (d *Dashboard) examine(ctx context.Context, q *query) (ui.Content, error) {
	found, err := d.o.Services.Insight.Examine(ctx, q.by)
	if err != nil {
		return nil, err
	}
	seen, err := d.look(ctx)
	if err != nil {
		return nil, err
	}
	q.now = time.Now() // it took a while
	out := ui.Settings{Examined: q.now}
	for _, h := range found {
		out.Checks = append(out.Checks, ui.Check{Kind: h.Kind, Name: h.Name, State: h.State, Says: h.Says, Do: h.Do})
	}
	ui.SortChecks(out.Checks)
	return d.filled(ctx, q, out, seen), nil
}

// seen is what the server knows by itself.
type seen struct {
	ready   error
	watched handlers.MonitoringStatus
	paused  handlers.PauseState
	// notices are not known when noNotices says why.
	notices   []handlers.NoticeStatus
	noNotices error
	runners   []handlers.RunnerStatus
	targets   []backout.Target
}

// look asks the server what it knows by itself. It costs little.
func (d *Dashboard) look(ctx context.Context) (s seen, err error) {
	control := d.o.Services.Control
	s.ready = control.Ready()
	if s.watched, err = control.Monitoring(ctx); err != nil {
		return s, fmt.Errorf("look at monitoring: %w", err)
	}
	if s.paused, err = control.PauseState(ctx); err != nil {
		return s, fmt.Errorf("look at the pause switch: %w", err)
	}
	s.notices, s.noNotices = patiently(ctx, control.Notices)
	if s.runners, err = control.Runners(ctx); err != nil {
		return s, fmt.Errorf("look at the runners: %w", err)
	}
	if s.targets, err = control.Targets(ctx); err != nil {
		return s, fmt.Errorf("look at the inventory: %w", err)
	}
	return s, nil
}

// patiently asks for a list that the store has. With a channel down for hours it is long,
// and the rest of the page must not wait for it.
func patiently[T any](ctx context.Context, ask func(context.Context) ([]T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, settingsWait)
	defer cancel()
	return ask(ctx)
}

// filled adds what both pages show beside the checks.
func (d *Dashboard) filled(ctx context.Context, q *query, out ui.Settings, s seen) ui.Settings {
	out.You, out.Roles = q.by.Name, ui.RoleWords(q.by.Grants)
	out.MayExamine = d.o.Services.May(q.by, access.ActionLook, nil)
	out.Waiting = waiting(s.notices)
	if more := len(out.Waiting) - settingsNotices; more > 0 {
		out.Waiting, out.MoreWaiting = out.Waiting[:settingsNotices], more
	}
	if s.noNotices != nil {
		out.NoNotices = s.noNotices.Error()
	}
	out.Runners, out.Targets = shownRunners(s.runners), reached(s.targets)
	d.ownTokens(ctx, q.by, &out)
	return out
}

// reached counts the targets by how they are reached, the most first.
func reached(targets []backout.Target) (out []ui.Reached) {
	by := map[string]int{}
	for i := range targets {
		by[targets[i].Transport]++
	}
	for transport, n := range by {
		out = append(out, ui.Reached{Transport: transport, Count: n})
	}
	slices.SortFunc(out, func(a, b ui.Reached) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Transport, b.Transport))
	})
	return out
}

// checks say how all of it is, what is broken first.
func (s seen) checks(now time.Time) []ui.Check {
	store := ui.Check{Kind: "store", State: handlers.HealthWell, Says: "Alerts can come: they are kept on disk before they are answered."}
	if s.ready != nil {
		store = ui.Check{
			Kind: "store", State: handlers.HealthBroken, Says: "Alerts cannot come: " + s.ready.Error() + ".", Do: "Look at the server's log. Senders try again until it is ready.",
		}
	}
	checks := []ui.Check{store, ofMonitoring(s.watched), ofPause(s.paused), ofNotices(s.notices, s.noNotices, now)}
	if len(s.runners) > 0 {
		checks = append(checks, ofRunners(s.runners))
	}
	ui.SortChecks(checks)
	return checks
}

func ofMonitoring(m handlers.MonitoringStatus) ui.Check {
	c := ui.Check{Kind: "monitoring", State: handlers.HealthWell, Says: "The alert that always fires comes: heard last", Since: m.LastSeen}
	switch {
	case !m.Watched:
		c.State, c.Says, c.Since = handlers.HealthDoubtful, "Nothing would show that monitoring is down: no alert that always fires is named.", time.Time{}
		c.Do = "Name one below monitoring: in backout.yaml."
	case m.Blind:
		c.State, c.Says, c.Since = handlers.HealthBroken, "Blind: the alert that always fires is missing, since", m.BlindSince
		c.Do = "Look at Prometheus and Alertmanager. Until it comes again red targets may go unseen, and nothing counts as recovered."
	}
	return c
}

func ofPause(p handlers.PauseState) ui.Check {
	if !p.On {
		return ui.Check{Kind: "pause", State: handlers.HealthWell, Says: "Off: rollbacks may start."}
	}
	return ui.Check{
		Kind: "pause", State: handlers.HealthDoubtful, Says: "On, by " + p.By + ": " + p.Reason + "; since", Since: p.At, Do: "Nothing starts until somebody resumes.",
	}
}

func ofNotices(notices []handlers.NoticeStatus, unknown error, now time.Time) ui.Check {
	if unknown != nil {
		return ui.Check{Kind: "notices", State: handlers.HealthDoubtful, Says: "Not known: " + unknown.Error() + ".", Do: "Load the page again; backout notices has as long as it needs."}
	}
	given, late := 0, 0
	for _, n := range notices {
		switch {
		case n.GivenUp:
			given++
		case now.Sub(n.Notice.At) > lateNotice:
			late++
		}
	}
	c := ui.Check{Kind: "notices", State: handlers.HealthWell, Says: "No notice is late."}
	if late > 0 {
		c.State, c.Says, c.Do = handlers.HealthDoubtful, fmt.Sprintf("%d on their way for longer than %s.", late, lateNotice), "They are tried again; their errors stand below."
	}
	if given > 0 {
		c.State, c.Says, c.Do = handlers.HealthBroken, fmt.Sprintf("%d given up, %d late.", given, late), "Their errors stand below: tell those people yourself, then mend the channel."
	}
	return c
}

func ofRunners(runners []handlers.RunnerStatus) ui.Check {
	var silent []string
	for _, r := range runners {
		if !r.Alive {
			silent = append(silent, r.Name)
		}
	}
	if len(silent) == 0 {
		return ui.Check{Kind: "runner", State: handlers.HealthWell, Says: fmt.Sprintf("All %d are heard.", len(runners))}
	}
	const most = 5
	names := strings.Join(silent[:min(most, len(silent))], ", ")
	if more := len(silent) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return ui.Check{
		Kind: "runner", State: handlers.HealthBroken, Says: fmt.Sprintf("%d of %d are not heard: %s.", len(silent), len(runners), names),
		Do: "Look at them and at the way to this server's NATS. Steps go on with another runner of the site, and wait where there is none.",
	}
}

// waiting are notices that have not arrived, what was given up first, then the
// oldest.
func waiting(notices []handlers.NoticeStatus) []ui.WaitingNotice {
	out := make([]ui.WaitingNotice, 0, len(notices))
	for i := range notices {
		n := &notices[i]
		one := ui.WaitingNotice{
			Channel: n.Channel, State: "sending", Moment: n.Notice.Moment, ChangeID: n.Notice.ChangeID, RollbackID: n.Notice.RollbackID,
			Made: n.Notice.At, Tried: n.At, Tries: n.Tries, Error: n.Error,
		}
		if n.GivenUp {
			one.State = "given_up"
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b ui.WaitingNotice) int {
		return cmp.Or(cmp.Compare(a.State, b.State), a.Made.Compare(b.Made), cmp.Compare(a.Channel, b.Channel))
	})
	return out
}

// shownRunners are the runners, what is not heard first.
func shownRunners(runners []handlers.RunnerStatus) []ui.Runner {
	out := make([]ui.Runner, 0, len(runners))
	for _, r := range runners {
		one := ui.Runner{Name: r.Name, Site: r.Site, Release: r.Release, Alive: r.Alive, Running: r.Running, Slots: r.Slots}
		if !r.Alive {
			one.LastSeen = r.LastSeen
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b ui.Runner) int {
		return cmp.Or(cmp.Compare(a.State(), b.State()), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// ownTokens adds the API tokens of whoever looks: never those of others, whatever they
// may do.
func (d *Dashboard) ownTokens(ctx context.Context, by handlers.Actor, out *ui.Settings) {
	if d.o.Tokens == nil {
		out.NoTokens = "this server makes none"
		return
	}
	list, err := patiently(ctx, func(ctx context.Context) ([]handlers.TokenStatus, error) {
		return d.o.Tokens.ListTokens(ctx, by, false)
	})
	if err != nil {
		out.NoTokens = err.Error()
		return
	}
	for i := range list {
		t := &list[i]
		one := ui.Token{
			ID: t.ID, Note: t.Note, State: t.State, Roles: ui.RoleWords(t.Grants), Made: t.CreatedAt, Expires: t.ExpiresAt, LastUsed: t.LastUsed, Revoked: t.RevokedAt,
		}
		switch {
		case t.State == "active":
			// A token ends no other.
			one.MayRevoke = by.TokenID == "" || by.TokenID == t.ID
			out.Tokens = append(out.Tokens, one)
		case len(out.Ended) < settingsTokens:
			out.Ended = append(out.Ended, one)
		default:
			out.MoreEnded++
		}
	}
}

// revokeToken ends an API token.
func (d *Dashboard) revokeToken(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	form, err := handlers.Form(w, r, maxForm, "id", "reason")
	if err != nil {
		return err
	}
	if d.o.Tokens == nil {
		return handlers.Refuse(http.StatusNotFound, "not_found", "this server makes no tokens")
	}
	id := form("id")
	if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
		return handlers.Refuse(http.StatusBadRequest, "invalid", "id: want the 16 digits that name a token in the list")
	}
	if _, err := d.o.Tokens.RevokeToken(r.Context(), by, id, strings.TrimSpace(form("reason"))); err != nil {
		return d.refused(w, r, by, "/settings", err, &typed{reason: strings.TrimSpace(form("reason"))})
	}
	return d.goTo(w, "/settings#tokens")
}
