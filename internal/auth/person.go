package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// Keys of documents; the hash of a name follows.
const (
	personPrefix  = "auth.person."
	subjectPrefix = "auth.subject."
	slackPrefix   = "auth.slack."
)

const (
	// maxSessions is how many sessions a person has; the oldest makes way.
	maxSessions = 20
	// maxUsed is how many tokens that are good once are remembered for a person, each
	// until it would not be good anyway. More logins in so short a time are refused.
	maxUsed = 64
	// maxGroups is how many groups of a provider are kept, and maxGroup how long one
	// is. Nobody is let in with fewer groups than they have: more are refused.
	maxGroups, maxGroup = 1000, 256
)

// personName is what a name may be: as in the config.
var personName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$`)

// person is the document of somebody who has signed in.
type person struct {
	Name string `json:"name"`
	// Local users have neither issuer nor subject.
	Local   bool   `json:"local,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Key is of the hash that a local user's password had when they signed in: another
	// password ends what was begun with it.
	Key string `json:"key,omitempty"`
	// Generation is random, and another one whenever the name may be somebody else's:
	// API tokens are of one generation.
	Generation string `json:"generation,omitempty"`
	// Groups are what the provider said at GroupsAt.
	Groups   []string  `json:"groups,omitempty"`
	GroupsAt time.Time `json:"groups_at,omitzero"`
	Sessions []session `json:"sessions,omitempty"`
	Used     []used    `json:"used,omitempty"`
	Slack    []slack   `json:"slack,omitempty"`
	// Out says that somebody shut the person out until they sign in again.
	Out bool `json:"out,omitempty"`
}

// session is one session; Hash is its token's.
type session struct {
	ID      string    `json:"id"`
	Hash    string    `json:"hash"`
	Begun   time.Time `json:"begun"`
	Seen    time.Time `json:"seen"`
	LoginAt time.Time `json:"login_at,omitzero"`
	Agent   string    `json:"agent,omitempty"`
	// Cookie tells a browser's session from a program's.
	Cookie bool `json:"cookie,omitempty"`
}

// used is the hash of something that is good once.
type used struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until"`
}

// slack is a Slack account.
type slack struct {
	Team string    `json:"team"`
	User string    `json:"user"`
	At   time.Time `json:"at"`
}

// hashed is how secrets and names are kept: in hex.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		// Lengths keep ("a", "bc") and ("ab", "c") apart.
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// personID is the part of a person's key that tokens carry.
func personID(name string) string { return hashed("person", name)[:32] }

// read decodes a document into value and returns its revision; 0 means that there is
// none.
func (s *Service) read(ctx context.Context, key string, value any) (uint64, error) {
	doc, err := s.docs.Get(ctx, key)
	if errors.Is(err, backout.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(doc.Value, value); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	return doc.Revision, nil
}

func (s *Service) write(ctx context.Context, key string, value any, revision uint64) error {
	data, err := json.Marshal(value)
	if err == nil {
		_, err = s.docs.Put(ctx, key, data, revision)
	}
	return err
}

// change lets fn change the person's document, again when somebody came between. fn
// returns errSame to leave it as it is.
func (s *Service) change(ctx context.Context, id string, fn func(p *person) error) error {
	return changed(func() error {
		var p person
		revision, err := s.read(ctx, personPrefix+id, &p)
		if err == nil {
			err = fn(&p)
		}
		if errors.Is(err, errSame) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.write(ctx, personPrefix+id, &p, revision)
	})
}

var errSame = errors.New("nothing changed")

// spend marks a hash as used; errUsed when it was.
func (p *person) spend(hash string, now, until time.Time) error {
	p.Used = slices.DeleteFunc(p.Used, func(u used) bool { return u.Until.Before(now) })
	if slices.ContainsFunc(p.Used, func(u used) bool { return u.Hash == hash }) {
		return errUsed
	}
	if len(p.Used) >= maxUsed {
		return errTooMany
	}
	p.Used = append(p.Used, used{Hash: hash, Until: until})
	return nil
}

// live tells whether a session still counts.
func (s *session) live(c *Config, now time.Time) bool {
	return now.Before(s.Begun.Add(c.Lifetime)) && now.Before(s.Seen.Add(c.Idle))
}

// ends is when the session ends without another request.
func (s *session) ends(c *Config) time.Time {
	life, idle := s.Begun.Add(c.Lifetime), s.Seen.Add(c.Idle)
	if idle.Before(life) {
		return idle
	}
	return life
}
