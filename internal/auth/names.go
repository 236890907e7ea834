package auth

import (
	"context"
	"fmt"
)

// bind keeps one name for one account of the provider.
func (s *Service) bind(ctx context.Context, who identity) error {
	if who.Local {
		return nil
	}
	key := subjectPrefix + hashed(who.Issuer, who.Subject)[:32]
	return changed(func() error {
		var known struct {
			Name string `json:"name"`
		}
		revision, err := s.read(ctx, key, &known)
		if err != nil || known.Name == who.Name {
			return err
		}
		if known.Name != "" {
			return refused(fmt.Sprintf("this account was %s here before, and is %s now: an admin can let the old name go (backout session end --user %s --forget)", known.Name, who.Name, known.Name))
		}
		known.Name = who.Name
		return s.write(ctx, key, known, revision)
	})
}

// become makes the document that of who has just signed in. What was somebody else's does
// not carry over.
func (p *person) become(who identity) {
	same := p.Local == who.Local && p.Issuer == who.Issuer && p.Subject == who.Subject
	if !same {
		p.Sessions, p.Slack = nil, nil
	}
	if p.Key != who.Key {
		p.Sessions = nil // they were begun with another password
	}
	if !same || p.Key != who.Key || p.Generation == "" {
		p.Generation = newGeneration()
	}
	p.Out = false
	p.Name, p.Local, p.Issuer, p.Subject, p.Key = who.Name, who.Local, who.Issuer, who.Subject, who.Key
}

func newGeneration() string { return randomHex(16) }

// account names what the person signs in with, until it may be somebody else's: another
// account, another password, and a name that was let go are another one.
func (p *person) account() string {
	return hashed("account", p.Issuer, p.Subject, p.Generation)[:32]
}
