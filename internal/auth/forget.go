package auth

import (
	"context"
	"errors"
	"fmt"

	"github.com/backout-io/backout"
)

// shutOut ends everything of a person: their sessions, and what Slack does in their
// name until they sign in again. forget also lets their name, their account of the
// provider and their Slack accounts go.
func (s *Service) shutOut(ctx context.Context, name string, forget bool) error {
	if !forget {
		_, err := s.out(ctx, name, false)
		return err
	}
	// Again when they came back meanwhile.
	return changed(func() error {
		was, err := s.out(ctx, name, true)
		if err != nil {
			return err
		}
		// What is the person's stands in their own document until all of it was let go, so
		// that another try finds what this one did not come to.
		errs := []error{}
		for _, a := range was.Slack {
			errs = append(errs, s.unlinked(ctx, name, a.Team, a.User))
		}
		if was.Subject != "" {
			errs = append(errs, s.rename(ctx, was.Issuer, was.Subject, name, ""))
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		return s.letGo(ctx, was)
	})
}

// out ends the sessions of a person, and returns what they were.
func (s *Service) out(ctx context.Context, name string, forget bool) (was person, err error) {
	err = s.change(ctx, personID(name), func(p *person) error {
		if p.Name == "" {
			return fmt.Errorf("%w: nobody called %.128q has signed in", backout.ErrNotFound, name)
		}
		was = *p
		p.Sessions, p.Out, p.Groups = nil, true, nil
		if forget {
			p.Generation = newGeneration()
		}
		return nil
	})
	return was, err
}

// letGo takes from a name whose it was; [backout.ErrConflict] when they have signed in or
// linked a Slack account since.
func (s *Service) letGo(ctx context.Context, was person) error {
	since := false
	err := s.change(ctx, personID(was.Name), func(p *person) error {
		if since = !p.Out || len(p.Slack) != len(was.Slack); since {
			return errSame
		}
		p.Local, p.Issuer, p.Subject, p.Key, p.Slack = false, "", "", "", nil
		return nil
	})
	if err == nil && since {
		err = backout.ErrConflict
	}
	return err
}
