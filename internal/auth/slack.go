package auth

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

const (
	// linkPrefix begins the tokens of links to a Slack account.
	linkPrefix = "bol_"
	// linkLife is how long such a link is good.
	linkLife = 10 * time.Minute
)

// slackID is what Slack's ids of teams and users look like.
var slackID = regexp.MustCompile(`^[A-Z0-9]{1,32}$`)

// account is the document of a Slack account. It counts only while the person's own
// document names it too.
type account struct {
	Team string `json:"team"`
	User string `json:"user"`
	// Person is whose it is.
	Person string `json:"person,omitempty"`
	// Link is the hash of the one link that is good until Until.
	Link  string    `json:"link,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

func accountID(team, user string) string { return hashed("slack", team, user)[:32] }

func (p *person) owns(team, user string) bool {
	return slices.ContainsFunc(p.Slack, func(a slack) bool { return a.Team == team && a.User == user })
}

// LinkSlack implements [handlers.Accounts]. A link ends the one before it.
func (s *Service) LinkSlack(ctx context.Context, team, user string) (string, error) {
	if !slackID.MatchString(team) || !slackID.MatchString(user) {
		return "", fmt.Errorf("%w: %q and %q are no ids of a Slack team and user", backout.ErrInvalid, team, user)
	}
	id := accountID(team, user)
	token := newToken(linkPrefix, id)
	err := changed(func() error {
		var a account
		revision, err := s.read(ctx, slackPrefix+id, &a)
		if err != nil {
			return err
		}
		a.Team, a.User, a.Link, a.Until = team, user, hashed(token), time.Now().UTC().Add(linkLife)
		return s.write(ctx, slackPrefix+id, a, revision)
	})
	if err != nil {
		return "", fmt.Errorf("link Slack account: %w", err)
	}
	return s.external + "/account/slack?token=" + url.QueryEscape(token), nil
}

// linked returns the account that a token is for, as it stands.
func (s *Service) linked(ctx context.Context, token string) (account, uint64, error) {
	id, ok := tokenID(linkPrefix, token)
	if !ok {
		return account{}, 0, errLink
	}
	var a account
	revision, err := s.read(ctx, slackPrefix+id, &a)
	if err != nil {
		return a, 0, err
	}
	if a.Link == "" || !time.Now().Before(a.Until) || subtle.ConstantTimeCompare([]byte(a.Link), []byte(hashed(token))) != 1 {
		return a, 0, errLink
	}
	return a, revision, nil
}

// takeLink makes the account that a token is for the person's. The token is spent
// before anything else, so that of two who come together one wins.
func (s *Service) takeLink(ctx context.Context, name, token string) (account, error) {
	a, revision, err := s.linked(ctx, token)
	if err != nil {
		return a, err
	}
	if a.Person != "" && a.Person != name {
		var other person
		if _, err := s.read(ctx, personPrefix+personID(a.Person), &other); err != nil {
			return a, err
		}
		if other.owns(a.Team, a.User) { // else somebody was cut off between the two documents
			return a, handlers.Refuse(409, "taken", "this Slack account is somebody else's here: they, or an admin, must let it go first")
		}
	}
	var p person
	if _, err := s.read(ctx, personPrefix+personID(name), &p); err != nil {
		return a, err
	}
	if err := p.onlyOne(a); err != nil {
		return a, err
	}
	a.Person, a.Link, a.Until = name, "", time.Time{}
	if err := s.write(ctx, slackPrefix+accountID(a.Team, a.User), a, revision); err != nil {
		return a, linkLost(err)
	}
	err = s.change(ctx, personID(name), func(p *person) error {
		if p.owns(a.Team, a.User) {
			return errSame
		}
		if err := p.onlyOne(a); err != nil {
			return err
		}
		p.Slack = append(p.Slack, slack{Team: a.Team, User: a.User, At: time.Now().UTC()})
		return nil
	})
	if err == nil {
		s.log.WarnContext(ctx, "a Slack account was linked", "name", name, "team", a.Team, "user", a.User)
	}
	return a, err
}

// linkLost says what a lost race for a link means: it was used.
func linkLost(err error) error {
	if isConflict(err) {
		return errLink
	}
	return err
}

// onlyOne keeps one account of a team for a person, so that a link of somebody else's,
// confirmed in good faith, adds no second one.
func (p *person) onlyOne(a account) error {
	for _, has := range p.Slack {
		if has.Team == a.Team && has.User != a.User {
			return handlers.Refuse(409, "taken", fmt.Sprintf("you have the Slack account %s of this team already: remove it on the account page first", has.User))
		}
	}
	return nil
}

// unlink lets a Slack account of the person go.
func (s *Service) unlink(ctx context.Context, name, team, user string) error {
	err := s.change(ctx, personID(name), func(p *person) error {
		if !p.owns(team, user) {
			return errSame
		}
		p.Slack = slices.DeleteFunc(p.Slack, func(a slack) bool { return a.Team == team && a.User == user })
		return nil
	})
	if err != nil {
		return err
	}
	return s.unlinked(ctx, name, team, user)
}

// unlinked lets others link an account that was the person's.
func (s *Service) unlinked(ctx context.Context, name, team, user string) error {
	key := slackPrefix + accountID(team, user)
	return changed(func() error {
		var a account
		revision, err := s.read(ctx, key, &a)
		if err != nil || a.Person != name {
			return err
		}
		a.Person, a.Link, a.Until = "", "", time.Time{}
		return s.write(ctx, key, a, revision)
	})
}

// SlackActor implements [handlers.Accounts].
func (s *Service) SlackActor(ctx context.Context, team, user string) (handlers.Actor, error) {
	var a account
	if _, err := s.read(ctx, slackPrefix+accountID(team, user), &a); err != nil {
		return handlers.Actor{}, err
	}
	none := fmt.Errorf("%w: the Slack account is linked to nobody", backout.ErrNotFound)
	if a.Person == "" || a.Team != team || a.User != user {
		return handlers.Actor{}, none
	}
	var p person
	if _, err := s.read(ctx, personPrefix+personID(a.Person), &p); err != nil {
		return handlers.Actor{}, err
	}
	if p.Name != a.Person || !p.owns(team, user) {
		return handlers.Actor{}, none
	}
	actor, err := s.remembered(&p)
	if err != nil {
		return handlers.Actor{}, err
	}
	actor.Via = "slack"
	return actor, nil
}

// remembered is who a person is without a session: as the config stands, with the groups
// of their last login, which must not be too long ago.
func (s *Service) remembered(p *person) (handlers.Actor, error) {
	config, _ := s.now()
	if p.Out || !p.Local && !time.Now().Before(p.GroupsAt.Add(config.RememberGroups)) {
		return handlers.Actor{}, fmt.Errorf("%w: %s must sign in again at %s", backout.ErrRefused, p.Name, s.external)
	}
	return config.actor(p)
}

// Person returns somebody who has signed in, as they are now: for what they left to act
// in their name. account tells them from whoever had the name before or will have it.
// [backout.ErrNotFound] when nobody of that name has signed in, [backout.ErrRefused] when
// they may not act any more.
func (s *Service) Person(ctx context.Context, name string) (who handlers.Actor, account string, err error) {
	var p person
	if _, err := s.read(ctx, personPrefix+personID(name), &p); err != nil {
		return handlers.Actor{}, "", err
	}
	if p.Name != name || name == "" {
		return handlers.Actor{}, "", fmt.Errorf("%w: nobody called %.128q has signed in", backout.ErrNotFound, name)
	}
	if err := s.generate(ctx, &p); err != nil {
		return handlers.Actor{}, "", err
	}
	who, err = s.remembered(&p)
	return who, p.account(), err
}
