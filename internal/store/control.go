package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/backout-io/backout"
)

// pauseKey names the pause document.
const pauseKey = "pause"

// Document is a small value under a key, with the revision that a change of it
// must name.
type Document struct {
	Value    []byte
	Revision uint64
}

// PauseState is the pause switch: while it is on, nothing new is done to any
// target.
type PauseState struct {
	On bool `json:"on"`
	// By and Reason say who moved the switch last, and why.
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Control keeps small documents that change by compare-and-set. Its methods may
// be called from several goroutines.
type Control struct {
	docs   documents
	follow follower

	mu        sync.Mutex
	seen      bool
	state     PauseState
	listeners []func(PauseState)
}

func newControl(docs documents, follow follower) *Control {
	follow.filter = controlPrefix + pauseKey
	return &Control{docs: docs, follow: follow}
}

// Get reads the document as it stands now; [backout.ErrNotFound] when there is
// none.
func (c *Control) Get(ctx context.Context, key string) (Document, error) {
	fail := func(err error) (Document, error) { return Document{}, fmt.Errorf("get %s: %w", key, err) }
	subject, err := subjectFor(controlPrefix, key)
	if err != nil {
		return fail(err)
	}
	doc, err := c.docs.get(ctx, subject)
	if err != nil {
		return fail(err)
	}
	if doc.revision == 0 {
		return fail(backout.ErrNotFound)
	}
	return Document{Value: doc.value, Revision: doc.revision}, nil
}

// Keys lists the keys of documents that begin with the prefix, sorted.
func (c *Control) Keys(ctx context.Context, prefix string) ([]string, error) {
	info, err := c.docs.stream.Info(ctx, jetstream.WithSubjectFilter(controlPrefix+">"))
	if err != nil {
		return nil, fmt.Errorf("list documents: %w", unavailable(err))
	}
	var keys []string
	for subject := range info.State.Subjects {
		key, err := unescape(strings.TrimPrefix(subject, controlPrefix))
		if err == nil && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Create stores a new document and returns its revision; [backout.ErrExists]
// when there is one already.
func (c *Control) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := c.Put(ctx, key, value, 0)
	if errors.Is(err, backout.ErrConflict) {
		return 0, fmt.Errorf("create %s: %w", key, backout.ErrExists)
	}
	return revision, err
}

// Put replaces the document that has the revision and returns the new one;
// [backout.ErrConflict] when it has another.
func (c *Control) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	subject, err := subjectFor(controlPrefix, key)
	if err == nil {
		revision, err = c.docs.put(ctx, subject, value, revision)
	}
	if err != nil {
		return 0, fmt.Errorf("put %s: %w", key, err)
	}
	return revision, nil
}

// Pause reads the pause switch as it stands now. It is off until somebody moves
// it.
func (c *Control) Pause(ctx context.Context) (PauseState, error) {
	var state PauseState
	doc, err := c.docs.get(ctx, controlPrefix+pauseKey)
	if err == nil && doc.revision > 0 {
		err = json.Unmarshal(doc.value, &state)
	}
	if err != nil {
		return PauseState{}, fmt.Errorf("read pause: %w", err)
	}
	return state, nil
}

// SetPause moves the pause switch, whoever moved it before.
func (c *Control) SetPause(ctx context.Context, state PauseState) error {
	data, err := json.Marshal(state)
	if err == nil {
		err = c.docs.change(ctx, controlPrefix+pauseKey, func(document) ([]byte, error) { return data, nil })
	}
	if err != nil {
		return fmt.Errorf("set pause: %w", err)
	}
	return nil
}

// OnPause calls fn with the switch's state, if it was ever moved, and again
// whenever it moves, on whichever server, until the store is closed. Calls come
// one at a time and must not block; fn may not call OnPause. It is a hint to act
// quickly: before an effect, ask [Control.Pause].
func (c *Control) OnPause(fn func(PauseState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, fn)
	if c.seen {
		fn(c.state)
	}
}

// watch follows the pause document until ctx ends.
func (c *Control) watch(ctx context.Context) {
	err := c.follow.run(ctx, startAt{}, func(m delivered) error {
		var state PauseState
		if err := json.Unmarshal(m.msg.Data(), &state); err != nil {
			return fmt.Errorf("read pause at %d: %w", m.seq, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.seen, c.state = true, state
		for _, fn := range c.listeners {
			fn(state)
		}
		return nil
	}, nil)
	if err != nil && ctx.Err() == nil {
		c.follow.log.Error("watching the pause switch ended", "error", err)
	}
}
