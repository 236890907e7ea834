package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/store"
	"github.com/backout-io/backout/internal/trigger"
	"github.com/backout-io/backout/rules"
)

// historyKept is how many promotions of a rule are kept.
const historyKept = 50

// ruleDocument is what is kept for a rule: who let it do what, the newest first.
type ruleDocument struct {
	History []handlers.Promoted `json:"history"`
}

// grants are what people let rules do. Every server follows them, so that what one
// was told reaches all. While the store cannot be read they stay as they were heard
// last; a rollback cannot be opened then, and before one is the grant is read again.
// So what was taken from a rule counts for every rollback that is opened from then
// on, however far behind a server is.
type grants struct {
	mu     sync.RWMutex
	byRule map[string]grant
}

type grant struct {
	ruleDocument
	revision uint64
}

func newGrants() *grants { return &grants{byRule: map[string]grant{}} }

// take takes what the store has, unless what is known is newer. What cannot be read
// lets the rule do nothing.
func (g *grants) take(name string, doc store.Document) error {
	var d ruleDocument
	err := json.Unmarshal(doc.Value, &d)
	if err != nil {
		d.History = []handlers.Promoted{{Mode: backout.ModeShadow, Lowered: true, By: "a promotion that this release cannot read"}}
		err = fmt.Errorf("promotion of rule %s: %w", name, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.byRule[name]; doc.Revision > known.revision {
		g.byRule[name] = grant{d, doc.Revision}
	}
	return err
}

func (g *grants) of(name string) grant {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.byRule[name]
}

// stands is the promotion that counts now, or nil.
func (g grant) stands() *handlers.Promoted {
	if len(g.History) == 0 {
		return nil
	}
	return &g.History[0]
}

// followGrants hears of promotions until ctx ends.
func (e *Engine) followGrants(ctx context.Context, caughtUp func()) error {
	return e.store.Control.FollowRules(ctx, func(name string, doc store.Document) error {
		if err := e.grants.take(name, doc); err != nil {
			e.log.Error("promotion not understood, the rule only records", "rule", name, "error", err)
		}
		e.news.tell()
		return nil
	}, caughtUp)
}

// readGrant reads what the store has now.
func (e *Engine) readGrant(ctx context.Context, rule string) (grant, error) {
	doc, err := e.store.Control.Rule(ctx, rule)
	if err == nil && doc.Revision > 0 {
		err = e.grants.take(rule, doc)
	}
	return e.grants.of(rule), err
}

// earned says what the rule may do, why that is less than its file says, and who let
// it do that.
func (e *Engine) earned(r rules.Rule) (mode backout.Mode, why string, by *handlers.Promoted) {
	p := e.grants.of(r.Name).stands()
	mode, why = trigger.Earned(r.Mode, r.Hash, asGrant(p), e.cfg().Promotion)
	return mode, why, p
}

func asGrant(p *handlers.Promoted) *trigger.Grant {
	if p == nil {
		return nil
	}
	return &trigger.Grant{Mode: p.Mode, Hash: p.Hash, Lowered: p.Lowered, By: p.By}
}

// may notes on a verdict what its rule may do as the config and people have it now,
// and returns the rule's throttle.
func (e *Engine) may(v *backout.Verdict) backout.Throttle {
	r, ok := e.cfg().Rules.Rule(v.Rule)
	v.Promoted = ""
	if !ok || r.Hash != v.RuleHash && v.RuleHash != "" {
		v.Mode, v.Stopped = backout.ModeShadow, "the rule has changed since it matched"
		return backout.Throttle{}
	}
	var by *handlers.Promoted
	if v.Mode, v.Stopped, by = e.earned(r); v.Mode != backout.ModeShadow && by != nil && !by.Lowered && by.Hash == r.Hash {
		v.Promoted = evidenceFor(*by)
	}
	return r.Throttle
}

// evidenceFor says in words who promoted a rule, and what was known of it then.
func evidenceFor(p handlers.Promoted) string {
	return clip(fmt.Sprintf("promoted to %s by %s on %s when %d of %d changes agreed with it: %s",
		p.Mode, p.By, p.At.UTC().Format("2006-01-02"), p.Score.Agreed, p.Score.Agreed+p.Score.Disagreed, p.Reason), 500)
}
