package main

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"backout": main})
}

// TestScript runs the real main against the real handlers over fake services:
// one open server, and one that wants a token.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			open := serve(env, nil)
			env.Setenv("BACKOUT_SERVER", open.URL)
			var all []backout.Grant
			for _, role := range backout.Roles() {
				all = append(all, backout.Grant{Role: role, Everywhere: true})
			}
			auth, err := handlers.NewAuth([]handlers.Token{
				{Name: "ana", Groups: []string{"sre"}, Grants: all, Secret: backout.SecretValue("ana-0123456789abcdef")},
				{Name: "bob", Grants: all, Secret: backout.SecretValue("bob-0123456789abcdef")},
				{Name: "eve", Secret: backout.SecretValue("eve-0123456789abcdef")},
			}, nil)
			if err != nil {
				return err
			}
			env.Setenv("GUARDED", serve(env, auth).URL)
			env.Setenv("TZ", "UTC")
			env.Setenv("LANG", "C.UTF-8")
			env.Setenv("TERM", "xterm")
			return nil
		},
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "terminal": terminal},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// exits runs a command and wants one exit code: "exits 3 backout change open X".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func serve(env *testscript.Env, auth *handlers.Auth) *httptest.Server {
	f := newFake()
	f.lost = 1
	h := handlers.New(handlers.Options{Intake: f, Changes: f, Baselines: f, Rollbacks: f, Rules: f, Control: f, Tokens: f, Auth: auth})
	server := httptest.NewServer(h)
	env.Defer(func() {
		h.EndStreams()
		server.CloseClientConnections()
		server.Close()
	})
	return server
}
