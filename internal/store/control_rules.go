package store

import (
	"context"
	"fmt"
	"strings"
)

// rulesPrefix begins the subjects of what is kept for rules; the token of the name
// follows. It is a token of its own, so that all of them can be followed.
const rulesPrefix = controlPrefix + "rule."

// Rule reads what is kept for a rule as it stands now; revision 0 says that nothing
// is.
func (c *Control) Rule(ctx context.Context, name string) (Document, error) {
	subject, err := subjectFor(rulesPrefix, name)
	var doc document
	if err == nil {
		doc, err = c.docs.get(ctx, subject)
	}
	if err != nil {
		return Document{}, fmt.Errorf("read rule %s: %w", name, err)
	}
	return Document{Value: doc.value, Revision: doc.revision}, nil
}

// PutRule replaces what is kept for a rule if it still has the revision (0 when there
// was nothing), and returns the new one; [backout.ErrConflict] when it has another.
func (c *Control) PutRule(ctx context.Context, name string, value []byte, revision uint64) (uint64, error) {
	subject, err := subjectFor(rulesPrefix, name)
	if err == nil {
		revision, err = c.docs.put(ctx, subject, value, revision)
	}
	if err != nil {
		return 0, fmt.Errorf("keep rule %s: %w", name, err)
	}
	return revision, nil
}

// FollowRules calls fn with what is kept for every rule, and again when that
// changes, on whichever server, until ctx ends or fn fails; caughtUp once with all
// that was there.
func (c *Control) FollowRules(ctx context.Context, fn func(name string, doc Document) error, caughtUp func()) error {
	follow := c.follow
	follow.filter = rulesPrefix + ">"
	return follow.run(ctx, startAt{}, func(m delivered) error {
		name, err := unescape(strings.TrimPrefix(m.msg.Subject(), rulesPrefix))
		if err != nil {
			c.follow.log.Warn("a document in the place of rules is none of this server's", "revision", m.seq, "error", err)
			return nil
		}
		return fn(name, Document{Value: m.msg.Data(), Revision: m.seq})
	}, caughtUp)
}
