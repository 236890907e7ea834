// Command provider is an OpenID Connect provider for the tests: the example server
// of github.com/zitadel/oidc, with people who have groups and clients that are
// told on the command line. It prints its issuer on the first line and serves until
// it is ended.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// person is one user of the file that -users names.
type person struct {
	Name     string   `json:"name"`
	Password string   `json:"password"`
	Email    string   `json:"email"`
	Groups   []string `json:"groups"`
}

type users struct {
	byName map[string]*storage.User
	groups map[string][]string
}

func (u users) GetUserByID(id string) *storage.User         { return u.byName[id] }
func (u users) GetUserByUsername(name string) *storage.User { return u.byName[name] }
func (u users) ExampleClientID() string                     { return "none" }

// store adds group claims, and puts claims into ID tokens.
type store struct {
	*storage.Storage
	groups map[string][]string
}

func (s store) SetUserinfoFromScopes(ctx context.Context, info *oidc.UserInfo, user, client string, scopes []string) error {
	if err := s.Storage.SetUserinfoFromScopes(ctx, info, user, client, scopes); err != nil {
		return err
	}
	info.AppendClaims("groups", s.groups[user])
	return nil
}

func (s store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	if err := s.Storage.SetUserinfoFromRequest(ctx, info, token, scopes); err != nil {
		return err
	}
	info.AppendClaims("groups", s.groups[token.GetSubject()])
	return nil
}

func (s store) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, token, subject, origin string) error {
	if err := s.Storage.SetUserinfoFromToken(ctx, info, token, subject, origin); err != nil {
		return err
	}
	info.AppendClaims("groups", s.groups[subject])
	return nil
}

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	c, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return client{c, id == "cli"}, nil
}

type client struct {
	op.Client
	public bool
}

func (c client) IDTokenUserinfoClaimsAssertion() bool { return c.public }

func (c client) AuthMethod() oidc.AuthMethod {
	if c.public {
		return oidc.AuthMethodNone
	}
	return c.Client.AuthMethod()
}

func (c client) ApplicationType() op.ApplicationType {
	if c.public {
		return op.ApplicationTypeNative
	}
	return c.Client.ApplicationType()
}

func main() {
	redirect := flag.String("redirect", "", "address that the web client may be sent back to")
	file := flag.String("users", "", "JSON file with the people")
	flag.Parse()
	if err := run(*redirect, *file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(redirect, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var people []person
	if err := json.Unmarshal(data, &people); err != nil {
		return err
	}
	u := users{byName: map[string]*storage.User{}, groups: map[string][]string{}}
	for _, p := range people {
		u.byName[p.Name] = &storage.User{ID: p.Name, Username: p.Name, Password: p.Password, Email: p.Email, EmailVerified: true}
		u.groups[p.Name] = p.Groups
	}
	storage.RegisterClients(storage.WebClient("web", "web-secret", redirect), storage.DeviceClient("cli", ""))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := "http://" + listener.Addr().String()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	router := exampleop.SetupServer(issuer, store{storage.NewStorage(u), u.groups}, log, false)
	fmt.Println(issuer)
	return http.Serve(listener, eager(router))
}

// eager has programs ask for a device's token every second: the example server says five.
func eager(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/device_authorization" {
			next.ServeHTTP(w, r)
			return
		}
		said := httptest.NewRecorder()
		next.ServeHTTP(said, r)
		maps.Copy(w.Header(), said.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(said.Code)
		_, _ = w.Write(bytes.Replace(said.Body.Bytes(), []byte(`"interval":5`), []byte(`"interval":1`), 1))
	})
}
