package auth

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/access"
)

func who(a handlers.Actor) handlers.Who {
	w := handlers.Who{Name: a.Name, Groups: a.Groups, Grants: a.Grants, LoginAt: a.LoginAt, Session: a.Session}
	if w.Groups == nil {
		w.Groups = []string{}
	}
	if w.Grants == nil {
		w.Grants = []backout.Grant{}
	}
	return w
}

func (s *Service) loginWays(w http.ResponseWriter, r *http.Request) error {
	config, provider := s.now()
	ways := handlers.LoginWays{Local: len(config.Users) > 0}
	switch {
	case config.Provider == nil:
		ways.NoDevice = "no identity provider is configured"
	case config.Provider.CLIClientID == "":
		ways.NoDevice = "the identity provider has no client for the command line: set auth.oidc.cli_client_id to a public one"
	default:
		found, err := provider.discover(r.Context())
		if err != nil && !ways.Local {
			return s.no(r, err)
		}
		if err != nil {
			ways.NoDevice = "the identity provider does not answer"
		} else if e := found.Endpoint(); e.DeviceAuthURL == "" {
			ways.NoDevice = "the identity provider has no device authorization endpoint"
		} else {
			ways.Device = &handlers.DeviceLogin{Issuer: config.Provider.Issuer, ClientID: config.Provider.CLIClientID, DeviceURL: e.DeviceAuthURL, TokenURL: e.TokenURL, Scopes: config.Provider.Scopes}
		}
	}
	return answer(w, ways)
}

func (s *Service) loginAPI(w http.ResponseWriter, r *http.Request) error {
	var given handlers.LoginRequest
	if err := body(w, r, &given); err != nil {
		return err
	}
	config, provider := s.now()
	var one identity
	var err error
	switch byToken, byName := given.IDToken != "", given.Name != "" || given.Password != ""; {
	case byToken == byName:
		return fmt.Errorf("%w: send an id_token, or a name and a password", backout.ErrInvalid)
	case byToken:
		if one, err = s.exchanged(r, provider, given); err == nil {
			err = notLocal(&config, one.Name)
		}
	default:
		one, err = s.local(w, r, given.Name, given.Password)
	}
	if err != nil {
		return s.no(r, err)
	}
	begun, err := s.begin(r.Context(), one, "", r.UserAgent(), false)
	if err != nil {
		return err
	}
	return answer(w, handlers.LoginAnswer{Token: begun.Token, Ends: begun.Ends, Who: who(begun.Actor)})
}

// exchanged asks the provider about what a program brought, a few at once.
func (s *Service) exchanged(r *http.Request, p *provider, given handlers.LoginRequest) (identity, error) {
	leave, err := s.asking.enter(r.Context(), source(r))
	if err != nil {
		return identity{}, err
	}
	defer leave()
	return p.exchange(r.Context(), given.IDToken, given.AccessToken)
}

func (s *Service) logoutAPI(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	if by.Session == "" {
		return fmt.Errorf("%w: a token is no session: who keeps it can revoke it", backout.ErrInvalid)
	}
	if err := s.end(r.Context(), personID(by.Name), func(one session) bool { return one.ID == by.Session }); err != nil {
		return err
	}
	if s.browser(r) != "" {
		s.cookies.set(w, sessionCookie, "", time.Time{})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) whoami(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	if err := only(r); err != nil {
		return err
	}
	return answer(w, who(by))
}

func (s *Service) listSessions(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	if err := only(r, "all"); err != nil {
		return err
	}
	keys := []string{personPrefix + personID(by.Name)}
	if truth(r, "all") {
		if err := access.Authorize(by.Grants, access.ActionAdmin, nil); err != nil {
			return err
		}
		var err error
		if keys, err = s.docs.Keys(r.Context(), personPrefix); err != nil {
			return err
		}
	}
	items := []handlers.SessionStatus{}
	for _, key := range keys {
		own, err := s.sessionsAt(r.Context(), key, by.Session)
		if err != nil {
			return err
		}
		items = append(items, own...)
	}
	slices.SortStableFunc(items, func(a, b handlers.SessionStatus) int { return b.Begun.Compare(a.Begun) })
	return answer(w, struct {
		Items []handlers.SessionStatus `json:"items"`
	}{items})
}

func (s *Service) sessionsAt(ctx context.Context, key, present string) ([]handlers.SessionStatus, error) {
	var p person
	if _, err := s.read(ctx, key, &p); err != nil {
		return nil, err
	}
	config, _ := s.now()
	now := time.Now()
	var out []handlers.SessionStatus
	for _, one := range p.Sessions {
		if one.live(&config, now) {
			out = append(out, handlers.SessionStatus{
				ID: one.ID, Name: p.Name, Browser: one.Cookie, Agent: one.Agent, Begun: one.Begun, Seen: one.Seen, Ends: one.ends(&config), Present: one.ID == present,
			})
		}
	}
	return out, nil
}

func (s *Service) endAPI(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	var given handlers.EndSession
	if err := body(w, r, &given); err != nil {
		return err
	}
	whose := given.User
	if whose == "" {
		whose = by.Name
	}
	// A token that was made to look at something must not shut its maker out.
	if whose != by.Name || given.Forget || by.TokenID != "" {
		if err := access.Authorize(by.Grants, access.ActionAdmin, nil); err != nil {
			return err
		}
	}
	switch {
	case given.ID == "" && given.User == "", given.ID != "" && given.Forget:
		return fmt.Errorf("%w: name a session by its id, or a user whose sessions all end", backout.ErrInvalid)
	case given.ID == "":
		if err := s.shutOut(r.Context(), whose, given.Forget); err != nil {
			return err
		}
	default:
		found := false
		err := s.end(r.Context(), personID(whose), func(one session) bool {
			hit := strings.EqualFold(one.ID, given.ID)
			found = found || hit
			return hit
		})
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: %s has no session %.40q", backout.ErrNotFound, whose, given.ID)
		}
	}
	s.log.WarnContext(r.Context(), "sessions were ended", "by", by.Name, "user", whose, "session", given.ID, "forget", given.Forget)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
