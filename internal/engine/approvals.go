package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/rollback"
)

var _ handlers.RefusedVotes = (*Engine)(nil)

// voteOf is what somebody says to the rollback's question, with who is in the asked
// groups now. Nobody may write a book into the log.
func (e *Engine) voteOf(by handlers.Actor, r *backout.Rollback, choice backout.Choice, reason string) backout.Vote {
	v := backout.Vote{User: by.Name, Groups: by.Groups, Choice: choice, Reason: clip(reason, reasonMax), Via: by.Via, LoginAt: by.LoginAt}
	if r.Ask != nil {
		v.Members = e.cfg().members(r.Ask.Policy.Groups)
	}
	return v
}

// answer lets the core decide on somebody's answer. One that does not count is recorded
// like one that does, and then it is an error for whoever gave it.
func (e *Engine) answer(ctx context.Context, id string, in func(r *backout.Rollback) rollback.Input) (backout.Rollback, error) {
	if _, err := e.Rollback(ctx, id); err != nil {
		return backout.Rollback{}, err
	}
	var refused error
	r, err := e.rollbacks.advanceBy(ctx, id, func(r backout.Rollback, at time.Time, own bool) ([]backout.Event, backout.Rollback, error) {
		events, after, err := rollback.Advance(r, at, in(&r), own)
		refused = rollback.Refusal(events)
		return events, after, err
	})
	if err == nil {
		err = refused
	}
	return r, err
}

// VoteRefused implements [handlers.RefusedVotes].
func (e *Engine) VoteRefused(ctx context.Context, by handlers.Actor, id, askID string, choice backout.Choice, cause, why string) error {
	vote := backout.Vote{User: by.Name, Groups: by.Groups, Choice: choice, Via: by.Via, LoginAt: by.LoginAt}
	_, err := e.known(ctx, id, rollback.Refused{AskID: askID, Vote: vote, Cause: cause, Reason: clip(why, reasonMax)})
	return err
}

// members is a digest of who is in the groups by the config. Who is in them by what an
// identity provider says is looked at when they log in.
func (c *Config) members(groups []string) string {
	h := sha256.New()
	for _, g := range slices.Compact(slices.Sorted(slices.Values(groups))) {
		people := slices.Compact(slices.Sorted(slices.Values(c.Groups[g])))
		_, _ = fmt.Fprintf(h, "%q %q\n", g, people)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// exploited are those of the CVEs that are known to be exploited.
func (c *Config) exploited(cves []string) (out []string) {
	for _, cve := range cves {
		if c.Exploited[strings.ToUpper(strings.TrimSpace(cve))] {
			out = append(out, cve)
		}
	}
	return out
}

// checkApprovers voids what was decided by people of groups that have other members by
// now: after a reload, and at the start, since files change while no server runs.
func (e *Engine) checkApprovers(ctx context.Context) {
	e.rollbacks.awake(func(id string, r backout.Rollback) {
		ask, groups, ok := rollback.Bound(r)
		if !ok {
			return
		}
		_, err := e.input(ctx, id, rollback.Approvers{AskID: ask, Members: e.cfg().members(groups)})
		if err != nil && !errors.Is(err, backout.ErrFinal) && ctx.Err() == nil {
			e.log.Error("approvals not held against the groups as they are now", "rollback_id", id, "error", err)
		}
	})
}

const (
	// reachEvery is how often it is looked whether people can be told of what starts
	// when nobody says anything.
	reachEvery = 2 * time.Second
	// reachTimeout bounds one look.
	reachTimeout = time.Second
	// reachSure is how long looks must say otherwise than before: a connection that is
	// opened anew stops no clock. At a deadline one look that says no is enough.
	reachSure = 3 * reachEvery
	// judgeFirst is how long after a deadline any other server than the judge waits, and
	// how soon it is looked again at a deadline at which it is not known.
	judgeFirst = 500 * time.Millisecond
	// unknownMost is how long that may go on before people count as not told.
	unknownMost = 30 * time.Second
)

// doubts are questions of which the looks say otherwise than the log, by rollback.
type doubts struct {
	mu   sync.Mutex
	byID map[string]doubt
}

type doubt struct {
	askID string
	since time.Time // zero when the last look said the same
	// told tells that a look has said that people can be told of this question.
	told bool
}

// last is since when looks have said otherwise, this one included.
func (d *doubts) last(id, askID string) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.byID[id]
	if was.askID != askID {
		was = doubt{askID: askID}
	}
	if was.since.IsZero() {
		was.since = time.Now()
	}
	d.put(id, was)
	return was.since
}

// agreed notes a look that says what the log says, and whether that is yes.
func (d *doubts) agreed(id, askID string, told bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.byID[id]
	d.put(id, doubt{askID: askID, told: told || was.told && was.askID == askID})
}

// late tells whether it was not known so far that people can be told of the question, and
// a look has asked for it.
func (d *doubts) late(id, askID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.byID[id]
	return was.askID == askID && !was.told && !was.since.IsZero()
}

// put is called with mu held.
func (d *doubts) put(id string, is doubt) {
	if d.byID == nil {
		d.byID = map[string]doubt{}
	}
	d.byID[id] = is
}

func (d *doubts) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byID, id)
}

// armReach looks at once when such a question opens, and then again and again.
func (e *Engine) armReach(before, after backout.Rollback) {
	if rollback.Watched(after) && (!rollback.Watched(before) || before.Ask.ID != after.Ask.ID) {
		e.deadlines.set(reachKey+after.ID, time.Now(), e.cfg().Reach != nil || !after.Ask.DownAt.IsZero())
	}
}

// reachDue looks, if it is this server that judges: servers may see channels
// differently, and a clock must not stop and go on by turns.
func (e *Engine) reachDue(ctx context.Context, id string) {
	if !e.owns(id) {
		e.doubts.forget(id)
	} else if _, err := e.lookReach(ctx, id, false); err != nil && !errors.Is(err, backout.ErrFinal) && ctx.Err() == nil {
		e.log.Error("not recorded whether people can be told, trying again", "rollback_id", id, "error", err)
	}
	r, _ := e.rollbacks.get(id)
	watched := rollback.Watched(r)
	if !watched {
		e.doubts.forget(id)
	}
	e.deadlines.set(reachKey+id, time.Now().Add(reachEvery), watched)
}

// clock tells the rollback that time has passed, once it was looked whether people can be
// told.
func (e *Engine) clock(ctx context.Context, id string) error {
	sure, err := e.lookReach(ctx, id, true)
	if err == nil {
		_, err = e.input(ctx, id, rollback.Tick{Unsure: !sure})
	}
	if err != nil {
		return err
	}
	if sure {
		e.armRollback(id) // the clock may have been set back
	} else {
		e.deadlines.set(rollbackKey+id, time.Now().Add(judgeFirst), true)
	}
	return nil
}

// lookReach tells the rollback whether people can be told of its question, where that
// matters and is another answer than before. What is not known yet changes nothing, and
// nothing is started by it: once the question is due, it is no in the end. sure tells
// whether it is known.
func (e *Engine) lookReach(ctx context.Context, id string, atDeadline bool) (sure bool, err error) {
	r, _ := e.rollbacks.get(id)
	if !rollback.Watched(r) {
		return true, nil
	}
	up, since, why := e.reach(ctx, r)
	due := r.Ask.DownAt.IsZero() && !r.Ask.Deadline.IsZero() && !time.Now().Before(r.Ask.Deadline)
	switch {
	case up && due && (rollback.ToldLate(r.Ask, since) || e.doubts.late(id, r.Ask.ID)):
		// Who is told only now has had no time: it is given from now on. When it was
		// delivered is in the store: this server may have looked at nothing so far.
		up, why = false, "the question has arrived only when its time was over, or nearly"
		atDeadline = true
	case !up && why == "":
		if !due || !atDeadline || time.Since(e.doubts.last(id, r.Ask.ID)) < unknownMost {
			return false, nil
		}
		why = "it is not known whether the question has arrived"
	}
	if known := r.Ask.DownAt.IsZero(); up == known {
		e.doubts.agreed(id, r.Ask.ID, up)
		return true, nil
	}
	if otherwise := e.doubts.last(id, r.Ask.ID); time.Since(otherwise) < reachSure && (up || !atDeadline) {
		return true, nil
	}
	e.doubts.forget(id)
	_, err = e.input(ctx, id, rollback.Reached{AskID: r.Ask.ID, OK: up, Why: clip(why, reasonMax)})
	return true, err
}

// reach looks whether people can be told, and since when they have been.
func (e *Engine) reach(ctx context.Context, r backout.Rollback) (up bool, since time.Time, why string) {
	reach := e.cfg().Reach
	if reach == nil {
		return true, time.Time{}, ""
	}
	asked := rollback.Question(r)
	for i := range asked {
		asked[i] = e.withURL(asked[i], "rollbacks/"+r.ID)
	}
	looking, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	return reach.Reach(looking, asked)
}

// afterJudge says until when this server leaves a deadline to the one that judges
// whether people could be told; false once it is this server's turn too.
func (e *Engine) afterJudge(id string) (until time.Time, waits bool) {
	r, _ := e.rollbacks.get(id)
	if !rollback.Watched(r) || !r.Ask.DownAt.IsZero() || e.owns(id) {
		return time.Time{}, false
	}
	now := time.Now()
	until = r.Ask.Deadline.Add(judgeFirst)
	return until, !now.Before(r.Ask.Deadline) && now.Before(until)
}
