package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// natsUsers is an operator with one account, as nsc makes them, and the credentials
// of users.
type natsUsers struct {
	t testing.TB
	// config is what the NATS servers' configuration says of them, address a server
	// of that configuration, if there is a single one.
	config, address string
	account         nkeys.KeyPair
}

// newNATSUsers starts a NATS server with them.
func newNATSUsers(t testing.TB) *natsUsers {
	t.Helper()
	n := newOperator(t)
	n.address = natsServer(t, n.config)
	return n
}

func newOperator(t testing.TB) *natsUsers {
	t.Helper()
	operator, operatorID := keyPair(t, nkeys.CreateOperator)
	account, accountID := keyPair(t, nkeys.CreateAccount)
	_, systemID := keyPair(t, nkeys.CreateAccount)
	operatorJWT, err := jwt.NewOperatorClaims(operatorID).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(id string, limits jwt.JetStreamLimits) string {
		ac := jwt.NewAccountClaims(id)
		ac.Limits.JetStreamLimits = limits
		text, err := ac.Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ours := encode(accountID, jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit})
	return &natsUsers{t: t, account: account, config: fmt.Sprintf(
		"operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
		operatorJWT, systemID, accountID, ours, systemID, encode(systemID, jwt.JetStreamLimits{}))}
}

func keyPair(t testing.TB, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	id, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, id
}

// creds makes a user with the permissions that the command line prints for nsc, and
// returns the content of its credentials file.
func (n *natsUsers) creds(whose ...string) string {
	n.t.Helper()
	key, id := keyPair(n.t, nkeys.CreateUser)
	uc := jwt.NewUserClaims(id)
	words := strings.Fields(must(n.t, append([]string{"runner", "permissions", "--nsc"}, whose...)...))
	for i, word := range words {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "--allow-pub":
			uc.Pub.Allow.Add(strings.Split(words[i+1], ",")...)
		case "--allow-sub":
			uc.Sub.Allow.Add(strings.Split(words[i+1], ",")...)
		case "--allow-pub-response":
			uc.Resp = &jwt.ResponsePermission{MaxMsgs: 1}
		case "--response-ttl":
			expires, err := time.ParseDuration(value)
			if err != nil {
				n.t.Fatal(err)
			}
			uc.Resp.Expires = expires
		}
	}
	token, err := uc.Encode(n.account)
	if err != nil {
		n.t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		n.t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(token, seed)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}
