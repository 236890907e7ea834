package auth

import (
	"context"
	"hash/maphash"
	"net/http"
	"strconv"
	"time"

	"github.com/backout-io/backout/internal/password"
)

// local says who a name and a password are. Every try is told to the log; of an unknown
// name only that it is unknown, since people type passwords into the wrong field.
func (s *Service) local(w http.ResponseWriter, r *http.Request, name, given string) (identity, error) {
	config, _ := s.now()
	if len(config.Users) == 0 {
		return identity{}, errNoWay
	}
	user, known := config.user(name)
	from := source(r)
	attempt, wait := s.attempts.begin(name, from, time.Now())
	if wait > 0 {
		s.log.WarnContext(r.Context(), "too many wrong passwords: not tried", "user", user.Name, "known", known, "source", from)
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		return identity{}, errTooMany
	}
	hash := user.Hash
	if !known {
		hash = s.decoy(config.Users, name)
	}
	right, err := s.matches(r.Context(), hash, given)
	if err != nil {
		s.attempts.right(attempt)
		return identity{}, err
	}
	if !right || !known {
		s.log.WarnContext(r.Context(), "wrong password", "user", user.Name, "known", known, "source", from)
		return identity{}, errPassword
	}
	s.attempts.right(attempt)
	s.log.WarnContext(r.Context(), "a local user signs in", "user", user.Name, "source", from)
	return identity{Name: user.Name, Local: true, LoginAt: time.Now().UTC(), Key: user.key()}, nil
}

// decoy is the hash that the password of an unknown name is compared with, the same for
// each name: hashes may differ in cost, and so a name that nobody has takes as long as
// some name that there is.
func (s *Service) decoy(users []User, name string) string {
	return users[maphash.String(s.seed, name)%uint64(len(users))].Hash
}

// key tells the user's password from one before, and says nothing of it.
func (u *User) key() string { return hashed("password", u.Hash)[:16] }

// matches tries a password, a few at a time.
func (s *Service) matches(ctx context.Context, hash, given string) (bool, error) {
	leave, err := enter(ctx, s.hashing)
	if err != nil {
		return false, err
	}
	defer leave()
	return password.Matches(hash, given), nil
}
