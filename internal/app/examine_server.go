package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/remote"
	"github.com/backout-io/backout/notifier"
)

// examineMost is how much is told of one kind, such as problems of the config.
const examineMost = 20

// parts are what an examination asks, in the order in which it is told.
func (a *App) parts() []part {
	l := a.running.Load()
	own := func(kind string, ask func(context.Context, part) []handlers.Health) part {
		p := part{kind: kind}
		p.ask = func(ctx context.Context) []handlers.Health { return ask(ctx, p) }
		return p
	}
	parts := []part{
		own("config", a.examineConfig), own("store", a.examineStore), own("monitoring", a.examineMonitoring), own("pause", a.examinePause),
		own("rule", a.examineRules), own("target", a.examineSteps), own("runner", a.examineRunners),
	}
	return slices.Concat(parts, a.otherSides(l), a.channelParts(l))
}

// examineConfig says what a reload would say of the files as they are now.
func (a *App) examineConfig(ctx context.Context, p part) (found []handlers.Health) {
	l, _, problems, err := a.readAgain(ctx, a.running.Load())
	var more backout.Problems
	switch {
	case errors.As(err, &more):
		problems = append(problems, more...)
	case err != nil:
		problems = append(problems, backout.Problem{File: a.o.Config, What: err.Error()})
	default:
		problems = append(problems, l.checkButtons(a.o.Config)...)
	}
	problems = withoutTwins(problems)
	if l != nil { // its secrets may be others than those of what runs
		for i := range problems {
			problems[i].What = notifier.Redact(problems[i].What, l.secrets()...)
		}
	}
	if len(problems) == 0 {
		return []handlers.Health{p.well("The files as they are now would be loaded without a problem.")}
	}
	for i, q := range problems {
		if i == examineMost {
			found = append(found, p.doubtful(fmt.Sprintf("There are %d more problems.", len(problems)-i), "See backout check."))
			break
		}
		p.name = place(q)
		switch do := sentence(q.Fix); {
		case q.Warning:
			found = append(found, p.doubtful(sentence(q.What), do))
		case q.Fix == restartFix:
			found = append(found, p.doubtful("A reload would refuse it: "+q.What+".", do))
		default:
			if do == "" {
				do = "Correct the file: until then the server goes on with what it read last, and would not start again."
			}
			found = append(found, p.broken(sentence(q.What), do))
		}
	}
	return found
}

// place is where a problem is.
func place(p backout.Problem) string {
	switch {
	case p.Line > 0 && p.Column > 0:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	case p.Line > 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return p.File
}

// sentence makes one of a clause.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}

// fullAt is how full the store may be, in per cent, before it is doubtful.
const fullAt = 80

func (a *App) examineStore(ctx context.Context, p part) []handlers.Health {
	const do = "After a full disk make room and start the server again; else look at its log and, where there is one, at the NATS."
	if err := a.bus.Health(ctx); err != nil {
		return []handlers.Health{p.broken("It takes no writes, so alerts are refused and no rollback starts anything: "+err.Error()+".", do)}
	}
	if err := a.namesake.problem(); err != nil {
		return []handlers.Health{p.broken(sentence(err.Error()), "Give each server its own server_name and start it again.")}
	}
	if err := a.engine.Ready(); err != nil {
		return []handlers.Health{p.broken("The server is not ready: "+err.Error()+".", "Wait while it replays; else start it again.")}
	}
	if why := a.engine.Troubles(ctx).Refused; why != "" {
		return []handlers.Health{p.broken(sentence(why), do)}
	}
	used, limit, err := a.bus.Usage(ctx)
	switch {
	case err != nil:
		return []handlers.Health{p.doubtful("It takes writes, and does not say how full it is: "+err.Error()+".", "Ask again.")}
	case limit <= 0:
		return []handlers.Health{p.well(fmt.Sprintf("It takes writes, and holds %s.", bytesText(used)))}
	case used*100 >= limit*fullAt:
		return []handlers.Health{p.doubtful(fmt.Sprintf("It takes writes, and holds %s of at most %s.", bytesText(used), bytesText(limit)),
			"Keep alerts for a shorter time (retention in backout.yaml), or give it more room.")}
	}
	return []handlers.Health{p.well(fmt.Sprintf("It takes writes, and holds %s of at most %s.", bytesText(used), bytesText(limit)))}
}

// bytesText writes a size for people.
func bytesText(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", (n+1023)>>10)
}

func (a *App) examineMonitoring(ctx context.Context, p part) []handlers.Health {
	m, err := a.engine.Monitoring(ctx)
	seen := "It never came since the server started to wait for it."
	if !m.LastSeen.IsZero() {
		seen = "It was seen last " + since(m.LastSeen) + "."
	}
	switch {
	case err != nil:
		return []handlers.Health{p.doubtful("Not known: "+err.Error()+".", "Ask again.")}
	case !m.Watched:
		return []handlers.Health{p.doubtful("Nobody would notice if no alerts came any more: red targets would look green.",
			"Have an alert that always fires sent here, and name it under monitoring in backout.yaml; see docs/rules.md.")}
	case m.Blind:
		return []handlers.Health{p.broken("The alert that always fires ("+m.Watchdog+") is missing since "+stamp(m.BlindSince)+": red targets may go unseen, and nothing counts as recovered. "+seen,
			"Look at Prometheus and Alertmanager, and whether Alertmanager reaches this server.")}
	case m.LastSeen.IsZero():
		return []handlers.Health{p.doubtful("The alert that always fires ("+m.Watchdog+") has not come yet. "+seen, "Wait "+m.MissingAfter.String()+"; then monitoring counts as blind.")}
	}
	return []handlers.Health{p.well("The alert that always fires comes. " + seen)}
}

func (a *App) examinePause(ctx context.Context, p part) []handlers.Health {
	switch state, err := a.engine.PauseState(ctx); {
	case err != nil:
		return []handlers.Health{p.doubtful("The pause switch cannot be read: "+err.Error()+".", "Nothing starts before it can: look at the store.")}
	case state.On:
		return []handlers.Health{p.doubtful("Everything is paused by "+state.By+" since "+stamp(state.At)+": "+sentence(state.Reason), "Nothing starts until somebody resumes: backout resume.")}
	}
	return []handlers.Health{p.well("Nothing is paused.")}
}

// examineRules tells of rules that failed lately.
func (a *App) examineRules(ctx context.Context, p part) (found []handlers.Health) {
	failing := a.engine.Troubles(ctx).Rules
	if len(failing) == 0 {
		return []handlers.Health{p.well("No rule has failed within the last hour.")}
	}
	for _, f := range failing[:min(len(failing), examineMost)] {
		p.name = f.Rule
		found = append(found, p.doubtful(fmt.Sprintf("It failed %d times, the last time %s, and counted as not matched: %s", f.Times, since(f.Last), sentence(f.Error)),
			"Correct the rule, or what it asks; backout rules explain shows it on an alert."))
	}
	return p.more(found, len(failing), "rules that fail")
}

// examineSteps tells of steps that nobody has begun.
func (a *App) examineSteps(ctx context.Context, p part) (found []handlers.Health) {
	steps := a.engine.Troubles(ctx).Steps
	for _, s := range steps[:min(len(steps), examineMost)] {
		p.name = s.Target
		found = append(found, p.doubtful("A step of rollback "+s.RollbackID+" waits: "+sentence(s.Why), "It begins by itself once that is over."))
	}
	return p.more(found, len(steps), "targets whose steps wait")
}

// more says how many more there are than were told.
func (p part) more(found []handlers.Health, all int, what string) []handlers.Health {
	if all > examineMost {
		p.name = ""
		found = append(found, p.doubtful(fmt.Sprintf("There are %d more %s.", all-examineMost, what), ""))
	}
	return found
}

// examineRunners tells of the runners near the targets, by site.
func (a *App) examineRunners(_ context.Context, p part) (found []handlers.Health) {
	return p.runners(a.running.Load().config.Runners.Sites, a.Runners())
}

func (p part) runners(sites []string, known []remote.Info) (found []handlers.Health) {
	for _, site := range sites {
		there := slices.DeleteFunc(slices.Clone(known), func(r remote.Info) bool { return r.Site != site })
		slices.SortFunc(there, func(a, b remote.Info) int { return strings.Compare(a.Name, b.Name) })
		alive := slices.ContainsFunc(there, func(r remote.Info) bool { return r.Alive })
		if !alive {
			p.name = site
			found = append(found, p.broken("No runner of the site is heard: steps on its targets wait, and the gate says no.", "Start backout runner near its targets; see docs/runners.md."))
		}
		for _, r := range there {
			p.name = site + "/" + r.Name
			if r.Alive {
				found = append(found, p.well(fmt.Sprintf("It was heard %s, and has %d of %d slots taken.", since(r.LastSeen), r.Running, r.Slots)))
			} else {
				found = append(found, p.doubtful("It is not heard any more; the last time was "+since(r.LastSeen)+".", "Start it again, or nothing if it was taken away on purpose."))
			}
		}
	}
	return found
}

// since says how long ago something was, to the second.
func since(at time.Time) string {
	return backout.Duration(max(0, time.Since(at)).Truncate(time.Second)).String() + " ago"
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }
