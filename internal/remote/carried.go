package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/runner"
)

const (
	// pollMost is how long a runner keeps a watching server waiting for news.
	pollMost = time.Second
	// gather is how long output is collected before it is handed over.
	gather = 50 * time.Millisecond
	// silence is after how long the other side is taken to be gone.
	silence = 10 * time.Second
	// claimPatience is how long a runner waits for its claim, and beginPatience for
	// leave to start; then it asks again.
	claimPatience = 3 * silence
	beginPatience = 5 * time.Second
	// keptAfter is how long the end of an attempt is remembered after a server has
	// confirmed it: longer than any message lives. unconfirmed is how long without.
	keptAfter   = 2 * (lifetime + skew)
	unconfirmed = 10 * time.Minute
)

// carried is an attempt that the agent carries, or carried until lately.
type carried struct {
	id     string
	runner *runner.Runner
	boot   string
	resume bool

	mu      sync.Mutex
	changed chan struct{} // closed at every change, and made anew
	holder  string
	issued  time.Time // when the holder signed that it is the holder
	heard   time.Time
	polls   uint64
	claimed bool
	ask     *ask
	answers chan answer
	stop    string
	giveUp  string
	sent    map[string]bool // what the runner has been told of the two
	ending  chan struct{}   // closed with stop or giveUp
	live    live
	result  *runner.Result
	ended   time.Time
	over    time.Time // when it was confirmed
}

func newCarried(w *work, issued time.Time, r *runner.Runner) *carried {
	return &carried{
		id: w.Task.AttemptID, runner: r, boot: w.Boot, resume: w.Resume, holder: w.Holder, issued: issued, heard: time.Now(), claimed: w.Resume,
		changed: make(chan struct{}), ending: make(chan struct{}), sent: map[string]bool{},
	}
}

// news tells everybody who waits that something changed. The caller holds mu.
func (c *carried) news() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Write implements [io.Writer]; it takes the attempt's output as it appears.
func (c *carried) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live.add(p)
	c.news()
	return len(p), nil
}

// question asks the server that watches, and waits for its answer.
func (c *carried) question(ctx context.Context, what, boot string, patience time.Duration) (answer, error) {
	c.mu.Lock()
	mine := &ask{Number: rand.Text(), What: what, Boot: boot}
	answers := make(chan answer, 1)
	c.ask, c.answers = mine, answers
	c.news()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ask == mine {
			c.ask = nil
		}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-answers:
		if a.No != "" {
			return a, errors.New(a.No)
		}
		return a, nil
	case <-ctx.Done():
		return answer{}, context.Cause(ctx)
	case <-c.ending:
		return answer{}, errors.New("it is to end")
	case <-timer.C:
		return answer{}, fmt.Errorf("no server answered within %v: %w", patience, backout.ErrUnavailable)
	}
}

// claim asks the server to append the claim.
func (c *carried) claim(ctx context.Context, by runner.Claimed) (time.Time, error) {
	a, err := c.question(ctx, askClaim, by.Boot, claimPatience)
	if err != nil {
		return time.Time{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.claimed = true
	return a.Deadline, nil
}

// begin asks the server whether the attempt may start now.
func (c *carried) begin(ctx context.Context) error {
	_, err := c.question(ctx, askBegin, "", beginPatience)
	return err
}

// handOver asks the server whether another runner is there to try, as the target
// has been out of reach from here for a while. Then this one lets go of it.
func (c *carried) handOver(ctx context.Context) bool {
	_, err := c.question(ctx, askHandOver, "", beginPatience)
	return err == nil
}

// finish keeps how it ended.
func (c *carried) finish(r runner.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result, c.ended, c.ask = &r, time.Now(), nil
	c.news()
}

// void tells that it ended without having begun, so that it may be taken anew.
func (c *carried) void() bool { return c.result != nil && (c.result.Unclaimed || c.result.Interrupted) }

// join lets the holder watch, or says why not: somebody else does, and nothing
// entitles the holder to take it from him. The one who resumes is entitled by the
// log, unless his order is the older one: it comes late, or is sent again. The one
// who runs is entitled only while nobody has claimed it.
func (c *carried) join(w *work, issued time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.holder == w.Holder:
	case w.Resume && issued.Before(c.issued):
		return errors.New("another server has taken it up since this was signed")
	case w.Resume:
	case c.claimed:
		return errors.New("it is being carried out here, and claimed")
	case time.Since(c.heard) < silence:
		return errors.New("another server has offered it here, and waits for its claim")
	}
	c.holder, c.issued, c.heard = w.Holder, issued, time.Now()
	c.news()
	return nil
}

// wishes takes in what the watching server wants, and passes it to the runner.
func (c *carried) wishes(w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := w.Answer; a != nil && c.ask != nil && c.ask.Number == a.Number {
		c.ask = nil
		c.answers <- *a
	}
	if w.Stop != "" {
		c.stop = w.Stop
	}
	if w.GiveUp != "" {
		c.giveUp = w.GiveUp
	}
	if c.result != nil || c.stop == "" && c.giveUp == "" {
		return
	}
	if c.stop != "" && !c.sent["stop"] {
		c.sent["stop"] = c.runner.Stop(c.id, c.stop) == nil
	}
	if c.giveUp != "" && !c.sent["give up"] {
		c.sent["give up"] = c.runner.GiveUp(c.id, c.giveUp) == nil
	}
	select {
	case <-c.ending:
	default:
		close(c.ending)
	}
}

// watch answers with what is new, at the latest after [pollMost]. Of several at
// once the newest is answered with it.
func (c *carried) watch(ctx context.Context, w *watch, most int) (state, error) {
	c.mu.Lock()
	if c.holder != w.Holder {
		c.mu.Unlock()
		return state{}, errAnotherHolder
	}
	c.heard = time.Now()
	c.polls++
	mine := c.polls
	c.news()
	c.mu.Unlock()
	c.wishes(w)
	timer := time.NewTimer(pollMost)
	defer timer.Stop()
	var collected <-chan time.Time
	for {
		c.mu.Lock()
		urgent, some := c.due(w, most)
		changed, superseded := c.changed, c.polls != mine
		c.mu.Unlock()
		if urgent || superseded {
			return c.state(w, most), nil
		}
		if some && collected == nil {
			more := time.NewTimer(gather)
			defer more.Stop()
			collected = more.C
		}
		select {
		case <-changed:
		case <-collected:
			return c.state(w, most), nil
		case <-timer.C:
			return c.state(w, most), nil
		case <-ctx.Done():
			c.settle()
			return c.state(w, most), nil
		}
	}
}

// settle waits until the attempt has its result, which it has soon after the
// agent's context has ended.
func (c *carried) settle() {
	for {
		c.mu.Lock()
		settled, changed := c.result != nil, c.changed
		c.mu.Unlock()
		if settled {
			return
		}
		<-changed
	}
}

// due tells whether there is something that must not wait, or some output. The
// caller holds mu.
func (c *carried) due(w *watch, most int) (urgent, some bool) {
	there := c.live.end() - max(w.Offset, c.live.from)
	return c.ask != nil || c.result != nil || there >= int64(most), there > 0
}

// state is what there is to ask and to tell. The result comes after the last of
// the live output.
func (c *carried) state(w *watch, most int) state {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := state{Ask: c.ask}
	s.Offset, s.Output = c.live.since(w.Offset, most)
	if c.result == nil || s.Offset+int64(len(s.Output)) < c.live.end() {
		return s
	}
	r := c.result
	s.Result = &result{Outcome: r.Outcome, Unclaimed: r.Unclaimed, InDoubt: r.InDoubt, Interrupted: r.Interrupted}
	if r.Err != nil {
		s.Result.Error = r.Err.Error()
	}
	s.KeptSize = len(r.Output)
	if at := max(0, min(w.Kept, len(r.Output))); len(s.Output) == 0 {
		s.Kept = r.Output[at:min(len(r.Output), at+most)]
	}
	return s
}

// release lets go of it: what has ended is confirmed, and its output given up, which
// is on the target and with the server; what waits for its claim is dropped. What
// runs goes on.
func (c *carried) release(r *release) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.holder != r.Holder:
	case c.result != nil:
		c.over = time.Now()
		c.result.Output = nil
		c.live = live{from: c.live.end()}
	case c.ask != nil && c.ask.What == askClaim:
		c.answers <- answer{Number: c.ask.Number, No: r.Reason}
		c.ask = nil
	}
}

// stale tells that there is no need to remember it any more.
func (c *carried) stale(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.result == nil:
		return false
	case c.void():
		return now.Sub(c.ended) > silence
	case !c.over.IsZero():
		return now.Sub(c.over) > keptAfter
	}
	return now.Sub(c.ended) > unconfirmed
}

func (c *carried) running() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.result == nil
}

var errAnotherHolder = errors.New("another server follows it now")
