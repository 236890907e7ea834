package client

import (
	"errors"
	"net/http"
	"testing"

	"github.com/backout-io/backout/handlers"
)

// sender sends what a client wants to send.
type sender func(*http.Request) (*http.Response, error)

func (s sender) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// TestPasswordsStayOffPlainNetworks: so does the question where to sign in, whose answer
// whoever is on the way could write.
func TestPasswordsStayOffPlainNetworks(t *testing.T) {
	for server, want := range map[string]error{"http://backout.example.org": ErrPlainToken, "https://backout.example.org": errSent, "http://127.0.0.1:1": errSent} {
		c, err := New(Options{Server: server, HTTP: &http.Client{Transport: sender(func(*http.Request) (*http.Response, error) { return nil, errSent })}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Login(t.Context(), handlers.LoginRequest{Name: "glass", Password: "break the glass"}); !errors.Is(err, want) {
			t.Errorf("%s: a password: %v, want %v", server, err, want)
		}
		if _, err := c.LoginWays(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: where to sign in: %v, want %v", server, err, want)
		}
	}
}

var errSent = errors.New("it was sent")
