package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// exchange turns the tokens that the command line got into somebody; see the package
// comment.
func (p *provider) exchange(ctx context.Context, raw, access string) (identity, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return identity{}, err
	}
	if p.spec.CLIClientID == "" {
		return identity{}, errNoWay
	}
	body, err := tokenBody(raw)
	if err != nil {
		return identity{}, err
	}
	c, err := p.verify(ctx, found, raw, p.spec.CLIClientID)
	if err != nil {
		return identity{}, err
	}
	if c.token.Nonce != "" {
		return identity{}, refused("the ID token was made for a browser")
	}
	if age := time.Since(c.token.IssuedAt); age > maxAge+skew {
		return identity{}, refused(fmt.Sprintf("the ID token is older than %s", backout.Duration(maxAge)))
	}
	who, err := p.identity(ctx, found, c, access)
	who.Once = hashed("id_token", c.token.Issuer, body)
	return who, err
}

// tokenBody is what an ID token says, and what lets in once. It leaves the signature
// out: some algorithms have several for one content. The library reads a token in many
// spellings (with blanks, as JSON, with bits that nobody reads), so all but one are
// refused: else another spelling of a token that was used would be a token of its own.
func tokenBody(raw string) (string, error) {
	parts := strings.Split(raw, ".")
	for _, part := range parts {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || len(parts) != 3 || base64.RawURLEncoding.EncodeToString(data) != part {
			return "", refused("the ID token is not good: it is not three parts in base64url, as RFC 7515 writes them")
		}
	}
	return parts[0] + "." + parts[1], nil
}
