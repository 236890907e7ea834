package auth

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// loginSecret is the secret of the browser's login cookie; a new one when it has none.
func (s *Service) loginSecret(w http.ResponseWriter, r *http.Request) string {
	secret := s.cookies.read(r, loginCookie)
	if len(secret) != 2*secretBytes {
		secret = randomHex(secretBytes)
	}
	s.cookies.set(w, loginCookie, secret, time.Now().Add(maxFlow))
	return secret
}

func (s *Service) loginPage(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "next", "fresh"); err != nil {
		return err
	}
	return s.showLogin(w, r, http.StatusOK, r.URL.Query().Get("next"), truth(r, "fresh"), "")
}

func (s *Service) showLogin(w http.ResponseWriter, r *http.Request, status int, next string, fresh bool, problem string) error {
	config, _ := s.now()
	page := ui.Login{
		Problem: problem, Local: len(config.Users) > 0,
		Next: ownPath(next), Fresh: fresh, Form: formToken(s.loginSecret(w, r)),
	}
	if p := config.Provider; p != nil {
		if u, err := url.Parse(p.Issuer); err == nil {
			page.Provider = u.Host
		}
	}
	return s.show(w, status, "", page)
}

// loginFailed shows a no where the person can try again. What is no answer to the person
// stays an error.
func (s *Service) loginFailed(w http.ResponseWriter, r *http.Request, next string, fresh bool, err error) error {
	status, _ := handlers.Describe(err)
	switch status {
	case http.StatusInternalServerError:
		return err
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(int(patience.Seconds())))
	}
	return s.showLogin(w, r, status, next, fresh, s.no(r, err).Error())
}

// no logs why somebody was not signed in, and returns what they are told of it: nothing
// that a provider which fails wrote.
func (s *Service) no(r *http.Request, err error) error {
	s.log.WarnContext(r.Context(), "not signed in", "reason", err.Error(), "source", source(r))
	if errors.Is(err, backout.ErrUnavailable) {
		return errSilent
	}
	return err
}

func (s *Service) loginPosted(w http.ResponseWriter, r *http.Request) error {
	if err := form(w, r, "form", "next", "name", "password"); err != nil {
		return err
	}
	next := ownPath(r.PostForm.Get("next"))
	err := checkForm(r, s.cookies.read(r, loginCookie))
	if err == nil {
		var who identity
		if who, err = s.local(w, r, r.PostForm.Get("name"), r.PostForm.Get("password")); err == nil {
			return s.enter(w, r, who, next, false)
		}
	}
	return s.loginFailed(w, r, next, false, err)
}

// enter begins a browser's session and sends the person on.
func (s *Service) enter(w http.ResponseWriter, r *http.Request, who identity, next string, fresh bool) error {
	begun, err := s.begin(r.Context(), who, s.cookies.read(r, sessionCookie), r.UserAgent(), true)
	if err != nil {
		return s.loginFailed(w, r, next, fresh, err)
	}
	config, _ := s.now()
	s.cookies.set(w, sessionCookie, begun.Token, time.Now().Add(config.Lifetime))
	s.cookies.set(w, loginCookie, "", time.Time{})
	if len(begun.Actor.Grants) == 0 {
		next = "/account" // which says that they may do nothing
	}
	s.seeOther(w, next)
	return nil
}

func (s *Service) loginStart(w http.ResponseWriter, r *http.Request) error {
	if err := only(r, "next", "fresh"); err != nil {
		return err
	}
	next, fresh := r.URL.Query().Get("next"), truth(r, "fresh")
	config, provider := s.now()
	f := newFlow(s.loginSecret(w, r), next, fresh, time.Now())
	to, err := provider.address(r.Context(), f, config.Lifetime)
	if err != nil {
		return s.loginFailed(w, r, next, fresh, err)
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// loginBack takes a person who comes back from the provider. Its query is the
// provider's, so unknown parameters are let be.
func (s *Service) loginBack(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	f, err := openFlow(s.cookies.read(r, loginCookie), query.Get("state"), time.Now())
	if err != nil {
		return s.loginFailed(w, r, "/", false, err)
	}
	config, provider := s.now()
	switch {
	case config.Provider == nil:
		err = errNoWay
	case query.Has("iss") && query.Get("iss") != config.Provider.Issuer: // RFC 9207
		err = refused("the answer comes from another provider than the one that was asked")
	case query.Get("error") != "":
		err = refused("the provider did not sign you in: " + printable(query.Get("error")))
	case query.Get("code") == "":
		err = refused("the provider's answer has no code")
	}
	var who identity
	if err == nil {
		if who, err = s.redeemed(r, provider, f, query.Get("code")); err == nil {
			err = notLocal(&config, who.Name)
		}
	}
	if err != nil {
		return s.loginFailed(w, r, f.Next, f.Fresh, err)
	}
	return s.enter(w, r, who, f.Next, f.Fresh)
}

// redeemed asks the provider who came back, no more often than is of use. Who found no
// place has not asked, and may come again.
func (s *Service) redeemed(r *http.Request, p *provider, f sealed, code string) (identity, error) {
	leave, err := s.asking.enter(r.Context(), source(r))
	if err != nil {
		return identity{}, err
	}
	defer leave()
	if _, wait := s.states.count(map[string]int{hashed("state", f.State): perState}, time.Now()); wait > 0 {
		return identity{}, errUsed
	}
	return p.redeem(r.Context(), f, code)
}

// notLocal keeps the names of local users from whoever calls themselves so elsewhere.
func notLocal(c *Config, name string) error {
	if _, local := c.user(name); local {
		return refused("your name at the provider is that of a local user here: one of the two must be called otherwise")
	}
	return nil
}

// printable is an error code of OAuth as RFC 6749 allows it, shortened.
func printable(code string) string {
	const most = 64
	out := make([]rune, 0, most)
	for _, r := range code {
		if len(out) == most {
			break
		}
		if r >= 0x20 && r < 0x7f && r != '"' && r != '\\' {
			out = append(out, r)
		}
	}
	return string(out)
}

func (s *Service) logoutPosted(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	if err := s.ownForm(w, r, "form"); err != nil {
		return err
	}
	if err := s.end(r.Context(), personID(by.Name), func(one session) bool { return one.ID == by.Session }); err != nil {
		return err
	}
	s.cookies.set(w, sessionCookie, "", time.Time{})
	s.seeOther(w, "/login")
	return nil
}

// ownForm reads a form that was made for the session of the browser.
func (s *Service) ownForm(w http.ResponseWriter, r *http.Request, known ...string) error {
	if err := form(w, r, known...); err != nil {
		return err
	}
	token, cookie := s.presented(r)
	if !cookie {
		return errForm
	}
	return checkForm(r, token)
}
