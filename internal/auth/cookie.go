package auth

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Cookies by their names without prefix.
const (
	sessionCookie = "backout-session"
	loginCookie   = "backout-login"
)

// cookies writes and reads cookies that no other host, path or script can.
type cookies struct {
	// secure is false only on plain http of a loopback name, where browsers take no
	// Secure cookie from every address.
	secure bool
}

func (c cookies) name(name string) string {
	if c.secure {
		return "__Host-" + name
	}
	return name
}

// read returns a cookie's value; "" when it is missing or there twice, since then one of
// them is not this server's.
func (c cookies) read(r *http.Request, name string) string {
	found := r.CookiesNamed(c.name(name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// set keeps a value until then; the zero time takes it away.
func (c cookies) set(w http.ResponseWriter, name, value string, until time.Time) {
	cookie := &http.Cookie{
		Name: c.name(name), Value: value, Path: "/", Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(time.Until(until).Seconds()),
	}
	if value == "" || cookie.MaxAge <= 0 {
		cookie.Value, cookie.MaxAge = "", -1
	}
	http.SetCookie(w, cookie)
}

// sameSite refuses a state-changing request with a cookie when nothing says that a page
// of this server made it. A browser that says nothing at all is not believed.
func sameSite(r *http.Request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin":
		return nil
	case "":
	default:
		return errForeign
	}
	if origin, err := url.Parse(r.Header.Get("Origin")); err == nil && origin.Host != "" && origin.Host == r.Host {
		return nil
	}
	return errForeign
}

// formToken is what a form must carry: only a page that was made for the holder of the
// secret has it.
func formToken(secret string) string { return hashed("form", secret) }

// checkForm refuses a form that was not made for the holder of the secret.
func checkForm(r *http.Request, secret string) error {
	if secret == "" || subtle.ConstantTimeCompare([]byte(r.PostForm.Get("form")), []byte(formToken(secret))) != 1 {
		return errForm
	}
	return nil
}

// maxNext is the longest address that people are sent back to.
const maxNext = 1024

// ownPath returns where to go after a login: a path of this server, or its first page
// for everything else.
func ownPath(next string) string {
	const first = "/"
	if len(next) > maxNext || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\") ||
		strings.ContainsFunc(next, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r > unicode.MaxASCII }) {
		return first
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, "\\") {
		return first
	}
	return next
}
