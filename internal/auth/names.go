package auth

import (
	"context"
	"errors"
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
	var was naming
	err = changed(func() error {
		was = naming{}
		revision, err := s.read(ctx, namingKey(who.Issuer, who.Subject), &was)
		if err != nil || was.Name == who.Name {
			return err
		}
		if err := s.noLonger(ctx, who, was.Name); err != nil {
			return err
		}
		err = s.write(ctx, namingKey(who.Issuer, who.Subject), naming{Name: who.Name}, revision)
		now = err == nil
		return err
	})
	if !now {
		return false, err
	}
	// Again, for a login with the other name that came between: see [Service.still].
	if err := s.noLonger(ctx, who, was.Name); err != nil {
		return false, errors.Join(err, s.rename(ctx, who.Issuer, who.Subject, who.Name, was.Name))
	}
	return true, nil
}

// noLonger refuses an account that has another name. It has one only when the name's own
// document says so: else a login was cut off between the two.
func (s *Service) noLonger(ctx context.Context, who identity, other string) error {
	if other == "" {
		return nil
	}
	var p person
	if _, err := s.read(ctx, personPrefix+personID(other), &p); err != nil {
		return err
	}
	if p.Issuer == who.Issuer && p.Subject == who.Subject {
		return refused(fmt.Sprintf("this account was %s here before, and is %s now: an admin can let the old name go (backout session end --user %s --forget)", other, who.Name, other))
	}
	return nil
}

// still refuses a login whose account was given another name, or let go, before the
// name's document said whose it is, and takes it out of the document: of two logins with
// two names each writes first and looks then, so that one sees the other.
func (s *Service) still(ctx context.Context, who identity) error {
	if who.Local {
		return nil
	}
	var known naming
	if _, err := s.read(ctx, namingKey(who.Issuer, who.Subject), &known); err != nil || known.Name == who.Name {
		return err
	}
	err := s.change(ctx, personID(who.Name), func(p *person) error {
		if p.Issuer != who.Issuer || p.Subject != who.Subject {
			return errSame
		}
		p.Issuer, p.Subject, p.Sessions, p.Slack, p.Out, p.Generation = "", "", nil, nil, true, newGeneration()
		return nil
	})
	return errors.Join(refused(fmt.Sprintf("the name %s was changed while you signed in: sign in again", who.Name)), err)
}

// rename gives an account of the provider another name, "" for none, if it has this one.
func (s *Service) rename(ctx context.Context, issuer, subject, name, other string) error {
	return changed(func() error {
		var known naming
		revision, err := s.read(ctx, namingKey(issuer, subject), &known)
		if err != nil || known.Name != name {
			return err
		}
		return s.write(ctx, namingKey(issuer, subject), naming{Name: other}, revision)
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
