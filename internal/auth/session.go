package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout/handlers"
)

// SessionPrefix begins every session token.
const SessionPrefix = handlers.SessionPrefix

// viaBrowser is the Via of whoever has signed in with a browser and comes with it.
const viaBrowser = "dashboard"

// secretBytes is how much chance is in a token.
const secretBytes = 32

// beginTimeout is how long the store may take for a login.
const beginTimeout = 30 * time.Second

// newToken returns the prefix, 32 random bytes and the id of the document that knows its
// hash.
func newToken(prefix, id string) string {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails: see crypto/rand
	return prefix + hex.EncodeToString(raw) + id
}

// tokenID is the id in a token; ok is false for what is none.
func tokenID(prefix, token string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok || len(rest) != 2*secretBytes+32 {
		return "", false
	}
	if _, err := hex.DecodeString(rest); err != nil {
		return "", false
	}
	return rest[2*secretBytes:], true
}

// started is a session that has just begun.
type started struct {
	Token string
	Actor handlers.Actor
	Ends  time.Time
}

// identity is somebody who has just proved who they are.
type identity struct {
	Name            string
	Local           bool
	Issuer, Subject string
	Groups          []string
	// LoginAt is when they did, zero when nobody knows.
	LoginAt time.Time
	// Once is the hash of what let them in and is good once; empty for passwords.
	Once string
	// Key tells a local user's password from one before.
	Key string
}

// begin makes a session for somebody, and ends the one they come from.
func (s *Service) begin(ctx context.Context, who identity, old, agent string, cookie bool) (started, error) {
	// What has begun is finished, or taken back, also when who asked goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beginTimeout)
	defer cancel()
	config, _ := s.now()
	now := time.Now().UTC()
	out := started{}
	bound, err := s.bind(ctx, who)
	if err != nil {
		return out, err
	}
	id := personID(who.Name)
	out.Token = newToken(SessionPrefix, id)
	elses := false
	err = s.change(ctx, id, func(p *person) error {
		if who.Once != "" {
			if err := p.spend(who.Once, now, now.Add(2*maxFlow)); err != nil {
				return err
			}
		}
		if err := p.mayBe(who); err != nil {
			elses = true
			return err
		}
		p.become(who)
		p.Groups, p.GroupsAt = who.Groups, now
		p.Sessions = slices.DeleteFunc(p.Sessions, func(one session) bool { return !one.live(&config, now) || old != "" && one.Hash == hashed(old) })
		if more := len(p.Sessions) - maxSessions + 1; more > 0 {
			p.Sessions = slices.Delete(p.Sessions, 0, more)
		}
		next := session{
			Hash: hashed(out.Token), Begun: now, Seen: now, LoginAt: who.LoginAt,
			Agent: shortened(agent), Cookie: cookie,
		}
		// The id is shown, so it must say nothing of the token.
		next.ID = hashed("session", next.Hash)[:12]
		p.Sessions = append(p.Sessions, next)
		out.Ends = next.ends(&config)
		var err error
		out.Actor, err = config.actor(p)
		out.Actor.LoginAt, out.Actor.Session = who.LoginAt, next.ID
		return err
	})
	if elses && bound { // somebody else came first by a moment
		err = errors.Join(err, s.rename(ctx, who.Issuer, who.Subject, who.Name, ""))
	}
	if err == nil {
		err = s.still(ctx, who)
	}
	if err != nil {
		return started{}, err
	}
	if was, ok := tokenID(SessionPrefix, old); ok && was != id {
		// Another person used this browser: their session must not stay behind.
		if err := s.end(ctx, was, func(one session) bool { return one.Hash == hashed(old) }); err != nil {
			return started{}, err
		}
	}
	s.log.InfoContext(ctx, "signed in", "name", out.Actor.Name, "groups", out.Actor.Groups, "session", out.Actor.Session, "local", who.Local)
	return out, nil
}

func shortened(s string) string {
	const most = 120
	s = strings.ToValidUTF8(s, "")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// presented is the session token of the request, and whether a cookie brought it. A
// header counts before a cookie, also when it holds a token of another kind.
func (s *Service) presented(r *http.Request) (token string, cookie bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if token = strings.TrimSpace(token); strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(token, SessionPrefix) {
			return token, false
		}
		return "", false
	}
	return s.cookies.read(r, sessionCookie), true
}

// Identify implements [handlers.Sessions]. It asks the store every time, so that whoever
// is shut out is out at once.
func (s *Service) Identify(r *http.Request) (handlers.Actor, bool, error) {
	token, cookie := s.presented(r)
	if token == "" {
		return handlers.Actor{}, false, nil
	}
	actor, err := s.identify(r.Context(), token)
	if err != nil {
		return handlers.Actor{}, false, err
	}
	if cookie {
		if err := sameSite(r); err != nil {
			return handlers.Actor{}, false, err
		}
	}
	// A program's token in a cookie makes no vote of a program one of the dashboard.
	if !cookie || actor.Via != viaBrowser {
		actor.Via = "api"
		if strings.HasPrefix(r.UserAgent(), "backout") {
			actor.Via = "cli"
		}
	}
	return actor, true, nil
}

// identify says whose session the token is of. Via tells a browser's from a program's.
func (s *Service) identify(ctx context.Context, token string) (handlers.Actor, error) {
	id, ok := tokenID(SessionPrefix, token)
	if !ok {
		return handlers.Actor{}, errEnded
	}
	var p person
	revision, err := s.read(ctx, personPrefix+id, &p)
	if err != nil {
		return handlers.Actor{}, err
	}
	config, _ := s.now()
	now := time.Now().UTC()
	one := p.find(hashed(token))
	if one == nil || !one.live(&config, now) {
		return handlers.Actor{}, errEnded
	}
	actor, err := config.actor(&p)
	if err != nil {
		return handlers.Actor{}, errEnded
	}
	actor.LoginAt, actor.Session = one.LoginAt, one.ID
	if one.Cookie {
		actor.Via = viaBrowser
	}
	if now.Sub(one.Seen) >= config.Idle/10 {
		one.Seen = now
		// Somebody else may have changed the document: then the next request tries.
		if err := s.write(ctx, personPrefix+id, &p, revision); err != nil && !isConflict(err) {
			s.log.WarnContext(ctx, "a session was not marked as used", "session", one.ID, "error", err)
		}
	}
	return actor, nil
}

// find compares with every session in the same time, whichever it is.
func (p *person) find(hash string) *session {
	found := -1
	for i := range p.Sessions {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare([]byte(p.Sessions[i].Hash), []byte(hash)), i, found)
	}
	if found < 0 {
		return nil
	}
	return &p.Sessions[found]
}

// end ends the sessions of a person that which chooses.
func (s *Service) end(ctx context.Context, id string, which func(session) bool) error {
	return s.change(ctx, id, func(p *person) error {
		before := len(p.Sessions)
		if p.Sessions = slices.DeleteFunc(p.Sessions, which); len(p.Sessions) == before {
			return errSame
		}
		return nil
	})
}
