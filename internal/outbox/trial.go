package outbox

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// TestNotice says which notice is to be tried, and where.
type TestNotice struct {
	// Channel is the channel's name.
	Channel string
	// Moment is what it is about; empty means [backout.MomentTest].
	Moment backout.Moment
	// Level is L1 to L9; empty means L1.
	Level string
	// Audience is whom it is for; empty means the channel's people.
	Audience string
	// DryRun only writes it.
	DryRun bool
	// By is who asked for it.
	By string
}

// UndeliveredError says why a test notice did not arrive. It holds no secrets, as no
// error of a notifier does.
type UndeliveredError struct{ Err error }

// Error implements error.
func (e *UndeliveredError) Error() string { return e.Err.Error() }

// Unwrap returns what the channel said.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// Test writes a notice as it may occur and sends it through one channel, past the
// queue. It returns the message; one that did not arrive comes with an
// [UndeliveredError]. A dry run sends nothing.
//
// What is sent says of itself that it is a test, belongs to no change and leads
// nowhere: nobody can act on it.
func (b *Outbox) Test(ctx context.Context, t TestNotice) (backout.Message, error) {
	c := b.config.Load()
	if _, ok := c.Channels[t.Channel]; !ok {
		return backout.Message{}, fmt.Errorf("channel %q: %w: the config has %s", t.Channel, backout.ErrNotFound, quoted(slices.Sorted(maps.Keys(c.Channels))))
	}
	n, err := t.notice(c, time.Now().UTC())
	if err != nil {
		return backout.Message{}, err
	}
	if t.DryRun {
		return b.render(c, t.Channel, n, nil), nil
	}
	said := "this is a test asked for by " + cmp.Or(t.By, "somebody") + ": nothing is wrong, and nobody has to act"
	m := b.render(c, t.Channel, harmless(n, said), nil)
	if n.Moment != backout.MomentTest {
		// Whatever the templates show.
		m.Subject = notifier.Cut("TEST: "+m.Subject, notifier.MaxSubject)
		m.Text = notifier.Cut("TEST, nothing is wrong and nobody has to act:\n\n"+m.Text, notifier.MaxText)
	}
	if _, err := b.hand(ctx, c, t.Channel, m); err != nil {
		return m, &UndeliveredError{err}
	}
	return m, nil
}

// harmless makes a sample such that neither the ticket of a real change nor the button
// of a real question can be found by it.
func harmless(n backout.Notice, said string) backout.Notice {
	n.ChangeID, n.AskID, n.URL, n.Reason = "TEST", "", "", said
	if n.RollbackID != "" {
		n.RollbackID = "TEST-" + strconv.FormatInt(n.At.UnixNano(), 36)
	}
	if n.Title != "" {
		n.Title = "a test, nothing is wrong: " + n.Title
	}
	return n
}

func (t TestNotice) notice(c *Config, at time.Time) (backout.Notice, error) {
	moment := cmp.Or(t.Moment, backout.MomentTest)
	if !slices.Contains(backout.Moments(), moment) {
		return backout.Notice{}, fmt.Errorf("moment %q: %w: the moments are %s", moment, backout.ErrInvalid, momentNames())
	}
	if t.Audience != "" && len(c.Audiences[t.Audience]) == 0 {
		return backout.Notice{}, fmt.Errorf("audience %q: %w: the config has %s", t.Audience, backout.ErrNotFound, quoted(slices.Sorted(maps.Keys(c.Audiences))))
	}
	n, err := sampleOf(moment, cmp.Or(t.Level, "L1"))
	if err != nil {
		return backout.Notice{}, err
	}
	shift := at.Sub(n.At)
	n.At = at
	if !n.Deadline.IsZero() {
		n.Deadline = n.Deadline.Add(shift)
	}
	if !n.Opened.IsZero() {
		n.Opened = n.Opened.Add(shift)
	}
	n.ID, n.Audience = fmt.Sprintf("test.%d.%s", at.UnixNano(), t.Channel), cmp.Or(t.Audience, t.Channel)
	return n, nil
}

// sampleOf is the sample notice of the level, or the last level's under its name.
func sampleOf(moment backout.Moment, level string) (backout.Notice, error) {
	number, err := strconv.Atoi(strings.TrimPrefix(level, "L"))
	if err != nil || level != "L"+strconv.Itoa(number) || number < 1 || number > 9 {
		return backout.Notice{}, fmt.Errorf("level %q: %w: want L1 to L9", level, backout.ErrInvalid)
	}
	samples := notifier.Samples(moment)
	for _, s := range samples {
		if s.Level == level {
			return s, nil
		}
	}
	last := samples[0]
	for _, s := range samples {
		if s.Level > last.Level {
			last = s
		}
	}
	if last.Level != "" { // otherwise it is about no level
		last.Level = level
	}
	return last, nil
}

func momentNames() string {
	names := make([]string, 0, len(backout.Moments()))
	for _, m := range backout.Moments() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}
