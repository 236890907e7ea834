package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// maxFlow is how long a login may take, from its begin to the way back from the provider.
const maxFlow = 10 * time.Minute

// flow is a login that has begun. It travels in the state parameter, sealed with the
// secret of the browser's cookie: who does not have that cookie can neither make a state
// nor come back with somebody else's.
type flow struct {
	ID   string `json:"id"`
	At   int64  `json:"at"` // in Unix seconds
	Next string `json:"next"`
	// Fresh wants the person to prove anew who they are.
	Fresh bool `json:"fresh,omitempty"`
}

// sealed is a flow with what is derived from it.
type sealed struct {
	flow
	State, Nonce, Verifier string
}

func randomHex(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails: see crypto/rand
	return hex.EncodeToString(raw)
}

func newFlow(secret, next string, fresh bool, now time.Time) sealed {
	f := flow{ID: randomHex(16), At: now.Unix(), Next: ownPath(next), Fresh: fresh}
	data, _ := json.Marshal(f) // strings, a number and a bool
	body := base64.RawURLEncoding.EncodeToString(data)
	return seal(secret, body, f)
}

func seal(secret, body string, f flow) sealed {
	return sealed{
		flow: f, State: body + "." + hashed("state", secret, body), Nonce: hashed("nonce", secret, body), Verifier: hashed("verifier", secret, body),
	}
}

// openFlow returns the flow of a state that was made with the secret, and is not older
// than maxFlow.
func openFlow(secret, state string, now time.Time) (sealed, error) {
	body, _, ok := strings.Cut(state, ".")
	data, err := base64.RawURLEncoding.DecodeString(body)
	if secret == "" || !ok || err != nil {
		return sealed{}, errState
	}
	out := seal(secret, body, flow{})
	if subtle.ConstantTimeCompare([]byte(out.State), []byte(state)) != 1 {
		return sealed{}, errState
	}
	if err := json.Unmarshal(data, &out.flow); err != nil {
		return sealed{}, errState
	}
	if age := now.Sub(time.Unix(out.At, 0)); age > maxFlow || age < -time.Minute {
		return sealed{}, errState
	}
	return out, nil
}

var errState = refused("this login was not begun in this browser, or took longer than ten minutes: sign in again")
