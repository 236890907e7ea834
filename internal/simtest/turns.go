package simtest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
)

// act is one turn: something happens to the world, or somebody does something.
func (d *driver) act() {
	if d.turn == 0 {
		d.openChange()
		return
	}
	actions := []struct {
		weight int
		do     func()
	}{
		{18, d.turnRed},
		{3, d.turnGreen},
		{2, d.flap},
		{22, d.somebody},
		{2, d.togglePause},
		{2, d.byHand},
		{5, d.openChange},
		{4, d.moveChange},
		{4, d.targetAway},
		{3, d.rebootTarget},
		{2, d.releaseTarget},
		{2, d.rescript},
		{3, d.muteServer},
		{3, d.cutTarget},
		{2, d.race},
		{4, d.bury},
		{3, d.killServer},
		{2, d.restartServer},
		{2, d.loseStore},
		{2, d.refuseWrites},
		{2, d.channelAway},
		{1, d.reload},
		{5, func() {}},
	}
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	at := d.r.IntN(total)
	for _, a := range actions {
		if at -= a.weight; at < 0 {
			a.do()
			return
		}
	}
}

func (d *driver) target() string { return pick(d.r, d.setup.Inventory...) }

func (d *driver) alert() string { return pick(d.r, "WebErrors", "WebErrors", "Latency") }

// patched is a target of a live change that nothing was rolled back on yet, if
// there is one and luck wants it.
func (d *driver) patched() string {
	var out []string
	for _, name := range d.setup.Inventory {
		if c := d.liveOn(name); c != nil && !slices.ContainsFunc(c.Rollbacks, func(r backout.RollbackRef) bool { return slices.Contains(r.Targets, name) }) {
			out = append(out, name)
		}
	}
	if len(out) == 0 || d.r.IntN(5) == 0 {
		return d.target()
	}
	return pick(d.r, out...)
}

// liveOn is the live change on a target, or nil.
func (d *driver) liveOn(target string) *backout.Change {
	for _, c := range d.watch.laws.changes {
		if c.State.Live() && slices.Contains(c.Targets, target) {
			return &c
		}
	}
	return nil
}

// turnRed lets a target break, and its alert fire.
func (d *driver) turnRed() {
	target := d.patched()
	d.do("%s breaks", target)
	d.hosts[target].SetHealthy(false)
	d.monitor.see(d.alert(), target, true)
}

// turnGreen lets alerts of a target end; it may or may not have healed.
func (d *driver) turnGreen() {
	target := d.target()
	if d.r.IntN(2) == 0 {
		d.hosts[target].SetHealthy(true)
	}
	d.do("alerts of %s end", target)
	d.monitor.see("WebErrors", target, false)
	d.monitor.see("Latency", target, false)
}

// flap lets an alert come and go.
func (d *driver) flap() {
	target, alert := d.target(), d.alert()
	d.do("%s flaps on %s", alert, target)
	for i := range 2 + d.r.IntN(4) {
		d.monitor.see(alert, target, i%2 == 0)
		d.advance(time.Duration(d.r.IntN(20)) * time.Second)
	}
}

// openChange plans a change and opens its window.
func (d *driver) openChange() {
	s := d.anyServer()
	if s == nil {
		return
	}
	free := slices.DeleteFunc(slices.Clone(d.setup.Inventory), func(name string) bool { return d.liveOn(name) != nil })
	if len(free) == 0 || d.r.IntN(10) == 0 {
		free = d.setup.Inventory // the gate refuses it
	}
	d.changes++
	n := 1 + d.r.IntN(len(free))
	first := d.r.IntN(len(free) - n + 1)
	spec := backout.ChangeSpec{
		ID: fmt.Sprintf("CHG%d", d.changes), Title: "a patch", Targets: free[first : first+n], Plan: pick(d.r, "web", "db"),
		Window: backout.Window{
			Opens: time.Now(), Closes: time.Now().Add(time.Duration(1+d.r.IntN(4)) * time.Hour), Watch: minutes(10 + d.r.IntN(50)), Auto: d.r.IntN(3) == 0,
		},
	}
	_, err := s.engine.PlanChange(d.t.Context(), as("rita"), spec)
	d.do("rita: plan %s under %s for %v on %s: %v", spec.ID, spec.Plan, spec.Targets, s.name, err)
	for range 3 {
		_, err = s.engine.OpenChange(d.t.Context(), as("rita"), spec.ID)
		d.do("rita: open %s: %v", spec.ID, err)
		if err == nil {
			return
		}
		d.advance(time.Duration(d.r.IntN(30)) * time.Second)
	}
}

// moveChange opens again, patches, extends or ends a change.
func (d *driver) moveChange() {
	s := d.anyServer()
	if s == nil || d.changes == 0 {
		return
	}
	id := fmt.Sprintf("CHG%d", 1+d.r.IntN(d.changes))
	var err error
	what := pick(d.r, "open", "open", "patched", "patch", "extend", "close", "cancel")
	ctx, rita := d.t.Context(), as("rita")
	switch what {
	case "open":
		_, err = s.engine.OpenChange(ctx, rita, id)
	case "patch":
		_, err = s.engine.PatchStarted(ctx, rita, id)
	case "patched":
		_, err = s.engine.PatchEnded(ctx, rita, id, 0)
	case "extend":
		_, err = s.engine.ExtendChange(ctx, rita, id, time.Now().Add(4*time.Hour), "more time")
	case "close":
		_, err = s.engine.CloseChange(ctx, rita, id, "enough")
	case "cancel":
		_, err = s.engine.CancelChange(ctx, rita, id, "not today")
	}
	d.do("rita: %s %s on %s: %v", what, id, s.name, err)
}

// somebody does what the state of a rollback invites to, or something else.
func (d *driver) somebody() {
	s := d.anyServer()
	if s == nil {
		return
	}
	active, err := s.engine.ListRollbacks(d.t.Context(), handlers.RollbackFilter{ActiveOnly: true})
	if err != nil || len(active) == 0 {
		return
	}
	r := active[d.r.IntN(len(active))]
	who := pick(d.r, "ann", "ann", "bob", "carl", "rita", "paul")
	for _, t := range r.Targets {
		if t.Phase == backout.TargetInDoubt && d.r.IntN(4) > 0 {
			verdict := pick(d.r, d.truth(t), d.truth(t), d.truth(t), rollback.DoubtFailed, rollback.DoubtHappened)
			d.person(who, r.ID, handlers.Action{Verb: handlers.VerbResolve, AttemptID: t.Attempt.ID, Verdict: verdict})
			return
		}
	}
	verb := pick(d.r, handlers.VerbHold, handlers.VerbRelease, handlers.VerbPause, handlers.VerbResume, handlers.VerbEscalate, handlers.VerbAbort)
	if r.Ask != nil && d.r.IntN(8) == 0 {
		d.person(who, r.ID, handlers.Action{Verb: handlers.VerbBreakGlass, AskID: r.Ask.ID})
		return
	}
	switch often := d.r.IntN(4) > 0; {
	case often && r.Ask != nil:
		d.vote(who, r, pick(d.r, backout.ChoiceApprove, backout.ChoiceApprove, backout.ChoiceApprove, backout.ChoiceDeny))
		return
	case often && !r.PausedAt.IsZero():
		verb = handlers.VerbResume
	case often && r.Status == backout.RollbackHeld:
		verb = pick(d.r, handlers.VerbRelease, handlers.VerbRelease, handlers.VerbEscalate)
	}
	d.person(who, r.ID, handlers.Action{Verb: verb})
}

func (d *driver) togglePause() {
	if n := len(d.watch.pauses); n > 0 && d.watch.pauses[n-1].open() || d.r.IntN(3) == 0 {
		d.resume("go on")
		return
	}
	d.pauseAll()
}

// byHand starts a rollback without an alert.
func (d *driver) byHand() {
	s := d.anyServer()
	if s == nil || d.changes == 0 {
		return
	}
	request := handlers.StartRequest{
		ChangeID: fmt.Sprintf("CHG%d", 1+d.r.IntN(d.changes)), Targets: []string{d.target()}, Level: pick(d.r, "", "L1", "L2"), Reason: "by hand",
	}
	_, err := s.engine.StartRollback(d.t.Context(), as("ann"), request)
	d.do("ann: roll back %v of %s from %s on %s: %v", request.Targets, request.ChangeID, request.Level, s.name, err)
}

// race lets two people do at once, on two servers, what only one of them may: open
// windows on the same target, or start rollbacks beyond a limit.
func (d *driver) race() {
	a, b := d.anyServer(), d.anyServer()
	if a == nil || a == b {
		return
	}
	ctx, rita := d.t.Context(), as("rita")
	var did [2]func(*Server) error
	if d.r.IntN(2) == 0 {
		for i := range did {
			d.changes++
			spec := backout.ChangeSpec{
				ID: fmt.Sprintf("CHG%d", d.changes), Title: "a patch", Targets: []string{d.target()}, Plan: pick(d.r, "web", "db"),
				Window: backout.Window{Opens: time.Now(), Closes: time.Now().Add(time.Hour), Watch: minutes(30)},
			}
			if i == 1 {
				spec.Targets = slices.Clone(d.setup.Inventory)
			}
			_, err := a.engine.PlanChange(ctx, rita, spec)
			d.do("rita: plan %s for %v on %s: %v", spec.ID, spec.Targets, a.name, err)
			did[i] = func(s *Server) error {
				_, err := s.engine.OpenChange(ctx, rita, spec.ID)
				return err
			}
		}
	} else {
		for i := range did {
			target := d.patched()
			c := d.liveOn(target)
			if c == nil {
				return
			}
			request := handlers.StartRequest{ChangeID: c.ID, Targets: []string{target}, Reason: "by hand"}
			did[i] = func(s *Server) error {
				_, err := s.engine.StartRollback(ctx, as("ann"), request)
				return err
			}
		}
	}
	var errs [2]error
	var both sync.WaitGroup
	for i, s := range []*Server{a, b} {
		both.Go(func() { errs[i] = did[i](s) })
	}
	both.Wait()
	d.do("two at once on %s and %s: %v, %v", a.name, b.name, errs[0], errs[1])
}

func (d *driver) targetAway() {
	target := d.target()
	away := time.Duration(pick(d.r, 5, 60, 200, 900)) * time.Second
	d.sky.befell(targetOffline, fmt.Sprintf("%s for %s", target, away))
	d.hosts[target].SetOffline(true)
	d.offline[target] = time.Now().Add(away)
}

func (d *driver) rebootTarget() {
	target := d.target()
	takes := time.Duration(pick(d.r, 0, 30, 180)) * time.Second
	d.sky.befell(targetReboots, fmt.Sprintf("%s, which takes %s", target, takes))
	d.hosts[target].RebootFor(takes)
}

func (d *driver) releaseTarget() {
	target := d.target()
	d.do("what hangs on %s ends", target)
	d.hosts[target].Release()
}

func (d *driver) rescript() {
	target, level := d.target(), pick(d.r, "L1", "L2", "L3")
	d.hosts[target].On(level, d.plot.drawScript(d.r, level))
}

// running is the place of a server that is up, or -1.
func (d *driver) running() int {
	i := d.r.IntN(len(d.servers))
	if d.servers[i].closed || d.servers[i].js.dead.Load() {
		return -1
	}
	return i
}

func (d *driver) killServer() {
	if i := d.running(); i >= 0 {
		away := time.Duration(pick(d.r, 0, 1, 20, 120, 400)) * time.Second
		d.sky.befell(serverKilled, fmt.Sprintf("%s for %s", d.servers[i].name, away))
		d.stopServer(i, true, away)
	}
}

// bury lets a server die for good, where the plot has a grave left for one.
func (d *driver) bury() {
	i := d.running()
	if i < 0 || d.plot.graves == 0 {
		return
	}
	d.plot.graves--
	d.sky.befell(serverGone, d.servers[i].name)
	d.servers[i].Kill()
}

// muteServer keeps the others from hearing a server that lives, or each of them
// from hearing any.
func (d *driver) muteServer() {
	if len(d.servers) == 1 {
		return
	}
	lasts := time.Duration(pick(d.r, 10, 60, 400)) * time.Second
	those := d.up()
	d.r.Shuffle(len(those), func(i, j int) { those[i], those[j] = those[j], those[i] })
	if len(those) > 0 && d.r.IntN(3) > 0 {
		those = those[:1]
	}
	for _, s := range those {
		d.sky.befell(serverUnheard, fmt.Sprintf("%s for %s", s.name, lasts))
		s.Mute(true)
		d.unheard[s] = time.Now().Add(lasts)
	}
}

// cutTarget takes a target out of one server's reach.
func (d *driver) cutTarget() {
	s, target := d.anyServer(), d.target()
	if s == nil {
		return
	}
	lasts := time.Duration(pick(d.r, 20, 100, 300, 900)) * time.Second
	d.sky.befell(targetCut, fmt.Sprintf("%s from %s for %s", target, s.name, lasts))
	s.Cut(target, true)
	d.cuts[cut{s, target}] = time.Now().Add(lasts)
}

func (d *driver) restartServer() {
	if i := d.running(); i >= 0 {
		away := time.Duration(pick(d.r, 0, 5, 60)) * time.Second
		d.sky.befell(serverRestarted, fmt.Sprintf("%s for %s", d.servers[i].name, away))
		d.stopServer(i, false, away)
	}
}

func (d *driver) loseStore() {
	if d.bus == nil {
		return
	}
	away := time.Duration(pick(d.r, 0, 5, 60, 300)) * time.Second
	d.sky.befell(storeCrashed, "for "+away.String())
	d.watch.rough = time.Now().Add(away)
	d.crashStore(away)
}

func (d *driver) refuseWrites() {
	if i := d.running(); i >= 0 {
		lasts := time.Duration(pick(d.r, 10, 60, 400)) * time.Second
		d.sky.befell(storeRefuses, fmt.Sprintf("%s for %s", d.servers[i].name, lasts))
		d.servers[i].RefuseWrites(true)
		d.refuses[i] = time.Now().Add(lasts)
		d.watch.rough = time.Now().Add(lasts)
	}
}

func (d *driver) channelAway() {
	name := pick(d.r, audiences(d.setup.Plans)...)
	lasts := time.Duration(pick(d.r, 30, 120, 900)) * time.Second
	d.sky.befell(channelDown, fmt.Sprintf("%s for %s", name, lasts))
	d.inboxes[name].SetDown(true)
	d.down[name] = time.Now().Add(lasts)
}

// reload swaps the config of every server for the same one.
func (d *driver) reload() {
	d.do("reload")
	for _, s := range d.up() {
		s.engine.Reconfigure(s.engineConfig())
	}
}
