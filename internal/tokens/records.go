package tokens

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

const (
	// usual and longest are how long a token works.
	usual   = backout.Duration(90 * 24 * time.Hour)
	longest = backout.Duration(365 * 24 * time.Hour)
	// shortest keeps a slip of the unit from making a token that is over at once.
	shortest = backout.Duration(time.Minute)
	// maxText is how long a note or a reason may be, in bytes.
	maxText = 200
	// maxLabels is how many labels a token may name.
	maxLabels = 16
	// maxOwned is how many tokens that work one person may have.
	maxOwned = 100
	// maxMade is how many tokens one person may make in a day: what has ended is kept too.
	maxMade = 200
)

// known refuses who is nobody.
func known(by handlers.Actor) error {
	if by.Name == "" {
		return fmt.Errorf("%w: nobody says who asks", backout.ErrForbidden)
	}
	return nil
}

// mayCreate refuses tokens for nobody, and tokens that make tokens: such a one could
// not be ended by revoking it.
func mayCreate(by handlers.Actor) error {
	switch {
	case known(by) != nil:
		return known(by)
	case by.TokenID != "":
		return fmt.Errorf("%w: a token makes no tokens: use your own access", backout.ErrForbidden)
	case len(by.Grants) == 0:
		return fmt.Errorf("%w: you have no role that a token could lend", backout.ErrForbidden)
	}
	return nil
}

// asked checks the request, fills in how long the token works, and says what it asks
// for.
func asked(r *handlers.TokenRequest) ([]backout.Grant, error) {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", backout.ErrInvalid, fmt.Sprintf(format, args...))
	}
	if r.ExpiresIn == 0 {
		r.ExpiresIn = usual
	}
	switch {
	case strings.TrimSpace(r.Note) == "":
		return nil, invalid("note: missing, want what the token is for")
	case len(r.Note) > maxText:
		return nil, invalid("note: %d bytes, want at most %d", len(r.Note), maxText)
	case len(r.Roles) == 0:
		return nil, invalid("roles: name at least one; none never means all")
	case !r.Everywhere && len(r.Labels) == 0:
		return nil, invalid("labels: say where, by labels or everywhere; nothing never means everywhere")
	case r.Everywhere && len(r.Labels) > 0:
		return nil, invalid("labels: everywhere and labels contradict each other, give one")
	case len(r.Labels) > maxLabels:
		return nil, invalid("labels: %d, want at most %d", len(r.Labels), maxLabels)
	case r.ExpiresIn < shortest || r.ExpiresIn > longest:
		return nil, invalid("expires_in: %s, want %s to %s", r.ExpiresIn, shortest, longest)
	}
	var grants []backout.Grant
	for _, role := range r.Roles {
		if !slices.Contains(backout.Roles(), role) {
			return nil, invalid("roles: no role %q, want some of viewer, operator, approver, author, admin", role)
		}
		g := backout.Grant{Role: role, Everywhere: r.Everywhere, Labels: r.Labels}
		if !slices.ContainsFunc(grants, func(other backout.Grant) bool { return other.Role == role }) {
			grants = append(grants, g)
		}
	}
	for name, value := range r.Labels {
		if name == "" || len(name)+len(value) > maxText {
			return nil, invalid("labels: %q=%q is no label", name, value)
		}
	}
	return grants, nil
}

// room refuses one token too many: a script that makes one on each run would fill the
// store.
func (s *Service) room(ctx context.Context, name string) error {
	list, err := s.all(ctx)
	if err != nil {
		return err
	}
	owned, made, now, another := 0, 0, time.Now(), s.another(ctx)
	for i := range list {
		if list[i].Owner.Name != name {
			continue
		}
		if state, _ := list[i].state(now); state == active && !another(list[i].Owner) {
			owned++
		}
		if now.Sub(list[i].CreatedAt) < 24*time.Hour {
			made++
		}
	}
	switch {
	case owned >= maxOwned:
		return fmt.Errorf("%w: you have %d tokens that work: revoke some first", backout.ErrRefused, owned)
	case made >= maxMade:
		return fmt.Errorf("%w: you made %d tokens within a day: use one for longer", backout.ErrRefused, made)
	}
	return nil
}

// another returns what tells whether another account has an owner's name now: no token of
// theirs works any more. It asks once for each owner, and says no while nobody knows.
func (s *Service) another(ctx context.Context) func(Owner) bool {
	type name struct {
		name     string
		signedIn bool
	}
	type now struct {
		account string
		known   bool
	}
	asked := map[name]now{}
	return func(o Owner) bool {
		key := name{o.Name, o.SignedIn}
		has, ok := asked[key]
		if !ok {
			_, account, err := s.o.Now(ctx, o)
			has = now{account, err == nil || account != ""}
			asked[key] = has
		}
		return has.known && has.account != o.Account
	}
}

// all reads every token, the newest first.
func (s *Service) all(ctx context.Context) ([]record, error) {
	keys, err := s.o.Documents.Keys(ctx, keyPrefix)
	if err != nil {
		return nil, err
	}
	out := make([]record, 0, len(keys))
	for _, key := range keys {
		kept, _, err := s.read(ctx, strings.TrimPrefix(key, keyPrefix))
		switch {
		case errors.Is(err, backout.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			out = append(out, kept)
		}
	}
	slices.SortFunc(out, func(a, b record) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Hash, b.Hash)) })
	return out, nil
}

// read reads the token of that id with its revision.
func (s *Service) read(ctx context.Context, id string) (record, uint64, error) {
	doc, err := s.o.Documents.Get(ctx, keyPrefix+id)
	if errors.Is(err, backout.ErrNotFound) {
		return record{}, 0, fmt.Errorf("token %q: %w", id, backout.ErrNotFound)
	}
	var kept record
	if err == nil {
		err = json.Unmarshal(doc.Value, &kept)
	}
	if err == nil && (len(kept.Hash) != 64 || idOf(kept.Hash) != id) {
		err = errors.New("its document is another one's")
	}
	if err != nil {
		return record{}, 0, fmt.Errorf("read token %q: %w", id, err)
	}
	return kept, doc.Revision, nil
}

// write replaces the token that has the revision; [backout.ErrConflict] when it has
// another.
func (s *Service) write(ctx context.Context, kept record, revision uint64) error {
	data, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("encode token: %w", err)
	}
	_, err = s.o.Documents.Put(ctx, keyPrefix+idOf(kept.Hash), data, revision)
	return err
}
