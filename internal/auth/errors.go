package auth

import (
	"net/http"

	"github.com/backout-io/backout/handlers"
)

var (
	errEnded    = handlers.Refuse(http.StatusUnauthorized, "session_ended", "the session has ended: sign in again (backout login)")
	errForeign  = handlers.Refuse(http.StatusForbidden, "forbidden", "nothing says that the request comes from a page of this server")
	errForm     = handlers.Refuse(http.StatusForbidden, "forbidden", "the form is out of date: load the page again and send it anew")
	errUsed     = handlers.Refuse(http.StatusForbidden, "used", "this login was used already: sign in again")
	errPassword = handlers.Refuse(http.StatusUnauthorized, "wrong_password", "name or password is wrong")
	errTooMany  = handlers.Refuse(http.StatusTooManyRequests, "too_many_attempts", "too many attempts: come again later")
	errBusy     = handlers.Refuse(http.StatusServiceUnavailable, "overloaded", "many sign in at once: try again in a moment")
	errNoWay    = handlers.Refuse(http.StatusNotFound, "not_found", "nobody signs in like this here: see auth.oidc and auth.users in backout.yaml")
	errSilent   = handlers.Refuse(http.StatusServiceUnavailable, "unavailable", "the identity provider, or the store, does not answer: try again, or sign in as a local user if there is one")
	errLink     = handlers.Refuse(http.StatusGone, "link_used", "the link is used, too old, or was replaced by a newer one: ask Slack for a new one")
)

// refused is a no to a login, with the reason for people.
func refused(why string) error {
	return handlers.Refuse(http.StatusForbidden, "login_refused", why)
}
