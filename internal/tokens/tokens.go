// Package tokens makes API tokens, ends them, and knows whose they are.
//
// A token is "bo_" and 32 random bytes in hex. The store has its SHA-256 only: with as
// many random bytes nothing slower is needed. It acts for its maker: under their name,
// so that one person has one vote, and with what both the token lends and its maker
// may do at the time. So a token ends with its maker's rights, and nobody makes one
// that can do more than they.
package tokens

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
	"github.com/backout-io/backout/internal/store"
)

const (
	// keyPrefix begins the keys of the documents; the token's id follows.
	keyPrefix = "token-"
	// secretBytes are the random bytes of a token.
	secretBytes = 32
	// coarse is how exactly the last use is known, and how seldom it is written.
	coarse = time.Hour
	// remembered is how long a token is listed that has ended.
	remembered = 30 * 24 * time.Hour
)

// Documents is where tokens are kept; [store.Control] is one.
type Documents interface {
	Get(ctx context.Context, key string) (store.Document, error)
	Keys(ctx context.Context, prefix string) ([]string, error)
	Create(ctx context.Context, key string, value []byte) (uint64, error)
	Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
}

// Owner is who made a token, as they were then.
type Owner struct {
	Name string `json:"name"`
	// Groups are those that they had.
	Groups []string `json:"groups,omitempty"`
	// SignedIn tells that a session let them in, and not a token of the config.
	SignedIn bool `json:"signed_in,omitempty"`
	// Account is what they signed in with: a name may be somebody else's later.
	Account string `json:"account,omitempty"`
}

// Options are what the service works with.
type Options struct {
	Documents Documents
	// Now returns the owner of a token as they are now, with groups and grants, and the
	// account that has the name now: [backout.ErrNotFound] when they may not act any more,
	// with the account where it is known.
	Now func(ctx context.Context, o Owner) (who handlers.Actor, account string, err error)
	Log *slog.Logger
}

// Service implements [handlers.Tokens] and [handlers.Bearers]. It is safe for
// concurrent use.
type Service struct{ o Options }

var (
	_ handlers.Tokens  = (*Service)(nil)
	_ handlers.Bearers = (*Service)(nil)
)

// New returns the service.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o}
}

// record is a token as it is kept.
type record struct {
	// Hash is the SHA-256 of the whole token, in hex; ID are its first 16 digits.
	Hash      string          `json:"hash"`
	Note      string          `json:"note"`
	Owner     Owner           `json:"owner"`
	Grants    []backout.Grant `json:"grants"`
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt time.Time       `json:"expires_at"`
	LastUsed  time.Time       `json:"last_used,omitzero"`
	RevokedAt time.Time       `json:"revoked_at,omitzero"`
	RevokedBy string          `json:"revoked_by,omitempty"`
	Reason    string          `json:"reason,omitempty"`
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// idOf is what names the token whose hash this is. It is of no help to whoever wants
// the token.
func idOf(hash string) string { return hash[:16] }

// The states of a token.
const (
	active  = "active"
	expired = "expired"
	revoked = "revoked"
	// ended is one of another account than the one that has its maker's name now.
	ended = "ended"
)

// state is where the token stands by itself, and since when it is over; see
// [Service.another].
func (r *record) state(now time.Time) (state string, since time.Time) {
	switch {
	case !r.RevokedAt.IsZero():
		return revoked, r.RevokedAt
	case !now.Before(r.ExpiresAt):
		return expired, r.ExpiresAt
	}
	return active, time.Time{}
}

func (r *record) status(now time.Time) handlers.TokenStatus {
	state, _ := r.state(now)
	return handlers.TokenStatus{
		ID: idOf(r.Hash), Note: r.Note, Owner: r.Owner.Name, Grants: r.Grants, State: state, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
		LastUsed: r.LastUsed, RevokedAt: r.RevokedAt, RevokedBy: r.RevokedBy, Reason: r.Reason,
	}
}

// CreateToken implements [handlers.Tokens].
func (s *Service) CreateToken(ctx context.Context, by handlers.Actor, r handlers.TokenRequest) (handlers.NewToken, error) {
	none := handlers.NewToken{}
	if err := mayCreate(by); err != nil {
		return none, s.refused(ctx, by, "CreateToken", "", err)
	}
	grants, err := asked(&r)
	if err != nil {
		return none, err
	}
	for _, g := range grants {
		if len(access.Within([]backout.Grant{g}, by.Grants)) == 0 {
			return none, s.refused(ctx, by, "CreateToken", "", fmt.Errorf("%w: you have no role %s there, and nobody lends what they do not have", backout.ErrForbidden, g.Role))
		}
	}
	owner := Owner{Name: by.Name, Groups: by.Groups, SignedIn: by.Session != ""}
	_, account, err := s.o.Now(ctx, owner)
	owner.Account = account
	if errors.Is(err, backout.ErrNotFound) {
		return none, fmt.Errorf("%w: a token acts for somebody the config knows, and %q is nobody: add auth.tokens first", backout.ErrRefused, by.Name)
	} else if err != nil {
		return none, err
	}
	if err := s.room(ctx, by.Name); err != nil {
		return none, err
	}
	return s.make(ctx, record{Note: r.Note, Owner: owner, Grants: grants}, time.Duration(r.ExpiresIn))
}

func (s *Service) make(ctx context.Context, kept record, works time.Duration) (handlers.NewToken, error) {
	var random [secretBytes]byte
	_, _ = rand.Read(random[:]) // It never fails: see crypto/rand.
	secret := handlers.TokenPrefix + hex.EncodeToString(random[:])
	now := time.Now().UTC().Truncate(time.Second)
	kept.Hash, kept.CreatedAt, kept.ExpiresAt = hashOf(secret), now, now.Add(works)
	data, err := json.Marshal(kept)
	if err != nil {
		return handlers.NewToken{}, fmt.Errorf("encode token: %w", err)
	}
	id := idOf(kept.Hash)
	if _, err := s.o.Documents.Create(ctx, keyPrefix+id, data); err != nil {
		return handlers.NewToken{}, err
	}
	s.o.Log.InfoContext(ctx, "token made", "by", kept.Owner.Name, "id", id, "note", kept.Note, "expires", kept.ExpiresAt)
	return handlers.NewToken{TokenStatus: kept.status(now), Token: backout.SecretValue(secret)}, nil
}

// ListTokens implements [handlers.Tokens]. One that ended long ago is not listed any
// more.
func (s *Service) ListTokens(ctx context.Context, by handlers.Actor, all bool) ([]handlers.TokenStatus, error) {
	if err := known(by); err != nil {
		return nil, s.refused(ctx, by, "ListTokens", "", err)
	}
	if all {
		if err := access.Authorize(by.Grants, access.ActionAdmin, nil); err != nil {
			return nil, s.refused(ctx, by, "ListTokens", "", err)
		}
	}
	list, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	now, another := time.Now(), s.another(ctx)
	var out []handlers.TokenStatus
	for i := range list {
		if _, since := list[i].state(now); !since.IsZero() && now.Sub(since) > remembered {
			continue
		}
		if !all && list[i].Owner.Name != by.Name {
			continue
		}
		one := list[i].status(now)
		if one.State == active && another(list[i].Owner) {
			one.State = ended
		}
		out = append(out, one)
	}
	return out, nil
}

// RevokeToken implements [handlers.Tokens].
func (s *Service) RevokeToken(ctx context.Context, by handlers.Actor, id, reason string) (handlers.TokenStatus, error) {
	none := handlers.TokenStatus{}
	if err := known(by); err != nil {
		return none, s.refused(ctx, by, "RevokeToken", id, err)
	}
	if len(reason) > maxText {
		return none, fmt.Errorf("%w: reason: %d bytes, want at most %d", backout.ErrInvalid, len(reason), maxText)
	}
	admin := access.Authorize(by.Grants, access.ActionAdmin, nil)
	for range tries {
		kept, revision, err := s.read(ctx, id)
		if err == nil && kept.Owner.Name != by.Name && admin != nil {
			return none, s.refused(ctx, by, "RevokeToken", id, admin)
		}
		if err == nil && by.TokenID != "" && by.TokenID != id && admin != nil {
			return none, s.refused(ctx, by, "RevokeToken", id, fmt.Errorf("%w: a token ends no other: use your own access", backout.ErrForbidden))
		}
		if err != nil {
			return none, err
		}
		if !kept.RevokedAt.IsZero() {
			return kept.status(time.Now()), nil
		}
		kept.RevokedAt, kept.RevokedBy, kept.Reason = time.Now().UTC().Truncate(time.Second), by.Name, reason
		if err := s.write(ctx, kept, revision); errors.Is(err, backout.ErrConflict) {
			continue // its use was noted meanwhile
		} else if err != nil {
			return none, err
		}
		s.o.Log.InfoContext(ctx, "token revoked", "by", by.Name, "id", id, "owner", kept.Owner.Name, "reason", reason)
		return kept.status(time.Now()), nil
	}
	return none, fmt.Errorf("revoke token %s: others keep changing it: %w", id, backout.ErrUnavailable)
}

// tries is how often a token is changed anew when somebody came between.
const tries = 16

// Bearer implements [handlers.Bearers]. The store is asked every time, so that a
// token which was revoked on one server ends on all at once.
func (s *Service) Bearer(ctx context.Context, secret string) (handlers.Actor, error) {
	unknown := fmt.Errorf("token: %w", backout.ErrNotFound)
	if len(secret) != len(handlers.TokenPrefix)+2*secretBytes || !strings.HasPrefix(secret, handlers.TokenPrefix) {
		return handlers.Actor{}, unknown
	}
	hash := hashOf(secret)
	kept, revision, err := s.read(ctx, idOf(hash))
	if errors.Is(err, backout.ErrNotFound) {
		return handlers.Actor{}, unknown
	}
	if err != nil {
		return handlers.Actor{}, err
	}
	now := time.Now().UTC()
	state, _ := kept.state(now)
	if subtle.ConstantTimeCompare([]byte(hash), []byte(kept.Hash)) != 1 || state != active {
		return handlers.Actor{}, unknown
	}
	owner, account, err := s.o.Now(ctx, kept.Owner)
	if err == nil && account != kept.Owner.Account {
		err = fmt.Errorf("another account has the name now: %w", backout.ErrNotFound)
	}
	if err != nil {
		return handlers.Actor{}, fmt.Errorf("owner of token %s: %w", idOf(hash), err)
	}
	s.used(ctx, kept, revision, now)
	return handlers.Actor{
		Name: kept.Owner.Name, Groups: owner.Groups, Grants: access.Within(kept.Grants, owner.Grants), TokenID: idOf(hash),
	}, nil
}

// used notes the hour of a use. A note that is lost is no reason to refuse.
func (s *Service) used(ctx context.Context, kept record, revision uint64, now time.Time) {
	hour := now.Truncate(coarse)
	if !kept.LastUsed.Before(hour) {
		return
	}
	kept.LastUsed = hour
	if err := s.write(ctx, kept, revision); err != nil && !errors.Is(err, backout.ErrConflict) {
		s.o.Log.WarnContext(ctx, "the use of a token could not be noted", "id", idOf(kept.Hash), "error", err)
	}
}

func (s *Service) refused(ctx context.Context, by handlers.Actor, call, on string, err error) error {
	s.o.Log.WarnContext(ctx, "refused", "by", by.Name, "via", by.Via, "token", by.TokenID, "call", call, "on", on, "why", err)
	return err
}
