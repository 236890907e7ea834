// Package device signs somebody in at an OpenID Connect provider from a program
// without a browser, by the device authorization grant (RFC 8628).
package device

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/backout-io/backout"
)

// Client is what the provider knows the program by, and where it is asked.
type Client struct {
	ID                  string
	DeviceURL, TokenURL string
	Scopes              []string
}

// Code is what the person must do: open URL in any browser and give Code there. Whole,
// if not empty, is an address that has the code in it.
type Code struct {
	URL, Code, Whole string
	Expires          time.Time
}

// Tokens are what the provider gave. They let in whoever has them.
type Tokens struct {
	ID     backout.Secret
	Access backout.Secret
}

// SignIn asks the provider for a code, has show tell the person, and waits until they
// have given it, refused, or the code has expired. Addresses other than https are
// refused, but on this machine.
func SignIn(ctx context.Context, c Client, show func(Code) error) (Tokens, error) {
	for _, address := range []string{c.DeviceURL, c.TokenURL} {
		if err := safe(address); err != nil {
			return Tokens{}, err
		}
	}
	// Redirects are not followed: what is posted must not wander.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	o := oauth2.Config{ClientID: c.ID, Scopes: c.Scopes, Endpoint: oauth2.Endpoint{
		DeviceAuthURL: c.DeviceURL, TokenURL: c.TokenURL, AuthStyle: oauth2.AuthStyleInParams,
	}}
	asked, err := o.DeviceAuth(ctx)
	if err != nil {
		return Tokens{}, fmt.Errorf("ask the identity provider for a code: %w", short(err))
	}
	if err := show(Code{URL: asked.VerificationURI, Code: asked.UserCode, Whole: asked.VerificationURIComplete, Expires: asked.Expiry}); err != nil {
		return Tokens{}, err
	}
	token, err := o.DeviceAccessToken(ctx, asked)
	if err != nil {
		return Tokens{}, fmt.Errorf("wait for the identity provider: %w", short(err))
	}
	id, _ := token.Extra("id_token").(string)
	if id == "" {
		return Tokens{}, errors.New("the identity provider gave no ID token: is openid among auth.oidc.scopes?")
	}
	return Tokens{ID: backout.SecretValue(id), Access: backout.SecretValue(token.AccessToken)}, nil
}

// short leaves out what the provider wrote but for its code: it may be a whole page.
func short(err error) error {
	var no *oauth2.RetrieveError
	if !errors.As(err, &no) {
		return err
	}
	switch no.ErrorCode {
	case "access_denied":
		return fmt.Errorf("%w: the login was refused there", backout.ErrRefused)
	case "expired_token":
		return fmt.Errorf("%w: the code has expired: start again", backout.ErrRefused)
	case "":
		return fmt.Errorf("it answered %s", no.Response.Status)
	}
	return fmt.Errorf("it answered %.60q", no.ErrorCode)
}

func safe(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%w: the server names %.80q as an address of its identity provider", backout.ErrInvalid, address)
	}
	local := strings.EqualFold(u.Hostname(), "localhost")
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		local = addr.Unmap().IsLoopback()
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("%w: the identity provider's address %.80q is not https", backout.ErrInvalid, address)
	}
	return nil
}
