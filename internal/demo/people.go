package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/password"
)

// Person is somebody who signs in on the demo's dashboard.
type Person struct {
	Name string
	// Hash is of their password, as [password.Random] makes it.
	Hash string
	// password is known to this process alone.
	password string
}

// newPeople are ann and ben, who are both on call, with passwords that nobody had before.
func newPeople() ([]Person, error) {
	people := []Person{{Name: "ann"}, {Name: "ben"}}
	for i := range people {
		var err error
		if people[i].password, people[i].Hash, err = password.Random(); err != nil {
			return nil, fmt.Errorf("make password: %w", err)
		}
	}
	return people, nil
}

// giveToken makes an API token of the person, for the command line, and keeps it where
// [story.fromElsewhere] says.
func (s *story) giveToken(ctx context.Context, p Person) error {
	server := "http://" + s.app.Addr()
	c, err := client.New(client.Options{Server: server})
	if err != nil {
		return err
	}
	session, err := c.Login(ctx, handlers.LoginRequest{Name: p.Name, Password: p.password})
	if err != nil {
		return fmt.Errorf("sign %s in: %w", p.Name, err)
	}
	if c, err = client.New(client.Options{Server: server, Token: backout.SecretValue(session.Token)}); err != nil {
		return err
	}
	made, err := c.CreateToken(ctx, handlers.TokenRequest{
		Note: "the demo's command line", Roles: []backout.Role{backout.RoleOperator, backout.RoleApprover, backout.RoleAuthor}, Everywhere: true,
		ExpiresIn: backout.Duration(24 * time.Hour),
	})
	if err != nil {
		return fmt.Errorf("make a token of %s: %w", p.Name, err)
	}
	if err := writeFile(s.tokenFile(p), []byte(made.Token.Reveal()), 0o600); err != nil {
		return err
	}
	if err := c.Logout(ctx); err != nil {
		return fmt.Errorf("sign %s out: %w", p.Name, err)
	}
	return nil
}

func (s *story) tokenFile(p Person) string { return filepath.Join(s.dir, "secrets", p.Name+".token") }
