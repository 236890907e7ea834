package auth

import (
	"context"
	"fmt"
)

// naming is the document of an account of the provider: its name here, "" for none.
type naming struct {
	Name string `json:"name"`
}

func namingKey(issuer, subject string) string { return subjectPrefix + hashed(issuer, subject)[:32] }

// mayBe refuses a name that is another account's.
func (p *person) mayBe(who identity) error {
	if !who.Local && p.Subject != "" && (p.Issuer != who.Issuer || p.Subject != who.Subject) {
		return refused(fmt.Sprintf("the name %s belongs to another account: an admin can let it go (backout session end --user %s --forget)", who.Name, who.Name))
	}
	return nil
}

// bind keeps one name for one account of the provider, and tells whether it is so just
// now. A name that is another account's is refused first: else the account would keep
// what was never its own.
func (s *Service) bind(ctx context.Context, who identity) (now bool, err error) {
	if who.Local {
		return false, nil
	}
	var p person
	if _, err := s.read(ctx, personPrefix+personID(who.Name), &p); err != nil {
		return false, err
	}
	if err := p.mayBe(who); err != nil {
		return false, err
	}
	err = changed(func() error {
		var known naming
		revision, err := s.read(ctx, namingKey(who.Issuer, who.Subject), &known)
		if err != nil || known.Name == who.Name {
			return err
		}
		if known.Name != "" {
			return refused(fmt.Sprintf("this account was %s here before, and is %s now: an admin can let the old name go (backout session end --user %s --forget)", known.Name, who.Name, known.Name))
		}
		err = s.write(ctx, namingKey(who.Issuer, who.Subject), naming{Name: who.Name}, revision)
		now = err == nil
		return err
	})
	return now, err
}

// unbind lets an account of the provider have another name, if it has this one.
func (s *Service) unbind(ctx context.Context, issuer, subject, name string) error {
	return changed(func() error {
		var known naming
		revision, err := s.read(ctx, namingKey(issuer, subject), &known)
		if err != nil || known.Name != name {
			return err
		}
		return s.write(ctx, namingKey(issuer, subject), naming{}, revision)
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

// generate gives a person a generation whose document has none, as servers leave it that
// know of none: what is made without one would end with the next login, which draws one.
func (s *Service) generate(ctx context.Context, p *person) error {
	if p.Generation != "" {
		return nil
	}
	return s.change(ctx, personID(p.Name), func(now *person) error {
		had := now.Generation != ""
		if !had {
			now.Generation = newGeneration()
		}
		*p = *now
		if had {
			return errSame
		}
		return nil
	})
}

// account names what the person signs in with, until it may be somebody else's: another
// account, another password, and a name that was let go are another one.
func (p *person) account() string {
	return hashed("account", p.Issuer, p.Subject, p.Generation)[:32]
}
