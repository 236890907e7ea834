package handlers

import (
	"time"

	"github.com/backout-io/backout"
)

// LoginWays say how programs sign people in.
type LoginWays struct {
	// Device is nil where nobody signs in at a provider from the command line; NoDevice
	// says why.
	Device   *DeviceLogin `json:"device,omitempty"`
	NoDevice string       `json:"no_device,omitempty"`
	// Local tells whether local users can sign in.
	Local bool `json:"local"`
}

// DeviceLogin is what RFC 8628 takes.
type DeviceLogin struct {
	Issuer    string   `json:"issuer"`
	ClientID  string   `json:"client_id"`
	DeviceURL string   `json:"device_authorization_endpoint"`
	TokenURL  string   `json:"token_endpoint"`
	Scopes    []string `json:"scopes"`
}

// LoginRequest is what a program signs somebody in with: an ID token, or name and password.
type LoginRequest struct {
	IDToken     string `json:"id_token,omitempty"`
	AccessToken string `json:"access_token,omitempty"`
	Name        string `json:"name,omitempty"`
	Password    string `json:"password,omitempty"`
}

// LoginAnswer is a session that has begun. Token is told once.
type LoginAnswer struct {
	Token string    `json:"token"`
	Ends  time.Time `json:"ends"`
	Who   Who       `json:"who"`
}

// Who is who asks.
type Who struct {
	Name    string          `json:"name"`
	Groups  []string        `json:"groups"`
	Grants  []backout.Grant `json:"grants"`
	LoginAt time.Time       `json:"login_at,omitzero"`
	Session string          `json:"session,omitempty"`
}

// SessionStatus is one session as lists show it.
type SessionStatus struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Browser bool      `json:"browser"`
	Agent   string    `json:"agent"`
	Begun   time.Time `json:"begun"`
	Seen    time.Time `json:"seen"`
	Ends    time.Time `json:"ends"`
	Present bool      `json:"present,omitempty"`
}

// EndSession says what to end: one session by its id, of oneself or of User; or all of User.
type EndSession struct {
	ID   string `json:"id,omitempty"`
	User string `json:"user,omitempty"`
	// Forget lets the name and the Slack accounts of User go too.
	Forget bool `json:"forget,omitempty"`
}
