package auth

import (
	"context"
	"net/http"
	"strings"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/ui"
)

// browser returns the secret of the browser's session; "" for who came otherwise.
func (s *Service) browser(r *http.Request) string {
	if token, cookie := s.presented(r); cookie {
		return token
	}
	return ""
}

func (s *Service) accountPage(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	if err := only(r); err != nil {
		return err
	}
	page := ui.Account{
		Name: by.Name, Groups: by.Groups, Roles: ui.RoleWords(by.Grants), LoginAt: by.LoginAt,
	}
	if secret := s.browser(r); secret != "" {
		page.Form = formToken(secret)
		var p person
		if _, err := s.read(r.Context(), personPrefix+personID(by.Name), &p); err != nil {
			return err
		}
		config, _ := s.now()
		for _, one := range p.Sessions {
			if one.live(&config, pageNow()) {
				page.Sessions = append(page.Sessions, ui.AccountSession{
					ID: one.ID, What: what(one), Begun: one.Begun, Seen: one.Seen, End: one.ends(&config), Present: one.ID == by.Session,
				})
			}
		}
		for _, a := range p.Slack {
			page.Slack = append(page.Slack, ui.AccountSlack{Team: a.Team, User: a.User, At: a.At})
		}
	}
	return s.show(w, http.StatusOK, by.Name, page)
}

func what(one session) string {
	if one.Cookie {
		return "browser: " + one.Agent
	}
	return "program: " + one.Agent
}

func (s *Service) endPosted(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	err := s.ownForm(w, r, "form", "id")
	if err == nil {
		err = s.end(r.Context(), personID(by.Name), func(one session) bool { return one.ID == r.PostForm.Get("id") })
	}
	if err != nil {
		return err
	}
	s.seeOther(w, "/account")
	return nil
}

func (s *Service) unlinkPosted(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	err := s.ownForm(w, r, "form", "team", "user")
	if err == nil {
		err = s.unlink(r.Context(), by.Name, r.PostForm.Get("team"), r.PostForm.Get("user"))
	}
	if err != nil {
		return err
	}
	s.seeOther(w, "/account")
	return nil
}

// linkPage asks; nothing changes before the answer is posted, so that a link that
// something fetches in advance stays good.
func (s *Service) linkPage(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	if err := only(r, "token"); err != nil {
		return err
	}
	page := ui.Link{Name: by.Name, Token: r.URL.Query().Get("token")}
	return s.showLink(w, r, page)
}

func (s *Service) showLink(w http.ResponseWriter, r *http.Request, page ui.Link) error {
	secret := s.browser(r)
	if secret == "" {
		return errForm
	}
	a, _, err := s.linked(r.Context(), page.Token)
	status := http.StatusOK
	if err == nil {
		page.Team, page.User, page.Form = a.Team, a.User, formToken(secret)
	} else if status, _ = handlers.Describe(err); status == http.StatusInternalServerError {
		return err
	} else {
		page.Problem = err.Error()
	}
	return s.show(w, status, page.Name, page)
}

func (s *Service) linkPosted(w http.ResponseWriter, r *http.Request, by handlers.Actor) error {
	if err := s.ownForm(w, r, "form", "token", "user"); err != nil {
		return err
	}
	page := ui.Link{Name: by.Name}
	a, err := s.confirmed(r.Context(), by.Name, r.PostForm.Get("token"), r.PostForm.Get("user"))
	status := http.StatusOK
	if err == nil {
		page.Team, page.User, page.Done = a.Team, a.User, true
	} else {
		status, _ = handlers.Describe(err)
		if status == http.StatusInternalServerError {
			return err
		}
		page.Problem = err.Error()
		s.log.WarnContext(r.Context(), "a Slack account was not linked", "name", by.Name, "reason", err.Error())
	}
	return s.show(w, status, page.Name, page)
}

// confirmed links the account if the person knows its id: whoever has been sent somebody
// else's link and looks up their own id finds another.
func (s *Service) confirmed(ctx context.Context, name, token, typed string) (account, error) {
	a, _, err := s.linked(ctx, token)
	if err != nil {
		return a, err
	}
	if !strings.EqualFold(strings.TrimSpace(typed), a.User) {
		return a, handlers.Refuse(http.StatusForbidden, "other_account", "the link is for another Slack account than yours: do not use links that somebody sent you")
	}
	return s.takeLink(ctx, name, token)
}
