package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/auth/device"
	"github.com/backout-io/backout/internal/cli/view"
	"github.com/backout-io/backout/internal/client"
	"github.com/backout-io/backout/internal/password"
)

func (p *program) loginCommand() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use: "login", Short: "Sign in to the server", Args: cobra.NoArgs,
		Long: `Sign in at the server's identity provider: open the address that is shown in any
browser, on any machine, and give the code there. The session is kept for this user
and this server (sessions.json below XDG_CONFIG_HOME or ~/.config, in backout); later
commands use it when no token is given.

With --user sign in as a local user of the server, for when the provider is down: the
password is asked for, or read from standard input.

Where a level takes a fresh login before it is approved, what counts is when the provider
asked for the password: sign out there first. "backout whoami" shows that time.`,
		Example: "  backout login --server https://backout.example.org\n  backout login --user glass",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.clientWith(backout.Secret{})
			if err != nil {
				return err
			}
			request := handlers.LoginRequest{Name: user}
			if user != "" {
				if request.Password, err = p.readPassword("password of " + user); err != nil {
					return err
				}
			} else if request, err = p.atProvider(cmd.Context(), c); err != nil {
				return err
			}
			answer, err := c.Login(cmd.Context(), request)
			if err != nil {
				return err
			}
			if err := p.saveSession(&savedSession{Name: answer.Who.Name, Token: answer.Token, Ends: answer.Ends}); err != nil {
				return err
			}
			if p.tokenFile != "" || p.Getenv("BACKOUT_TOKEN") != "" {
				_, _ = fmt.Fprintln(p.Stderr, "backout: a token is set (--token-file, BACKOUT_TOKEN_FILE or BACKOUT_TOKEN) and counts before this session")
			}
			return p.print(answer.Who, func(s view.Style) string { return "signed in as " + view.Who(answer.Who, s, c.ServerTime()) })
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "sign in as this local user, with a password")
	return cmd
}

// atProvider signs in by the device flow.
func (p *program) atProvider(ctx context.Context, c *client.Client) (handlers.LoginRequest, error) {
	ways, err := c.LoginWays(ctx)
	if errors.Is(err, backout.ErrNotFound) {
		return handlers.LoginRequest{}, errors.New("nobody signs in at this server: it takes tokens only (see auth.oidc and auth.users in its backout.yaml)")
	}
	if err != nil {
		return handlers.LoginRequest{}, err
	}
	if ways.Device == nil {
		no := ways.NoDevice
		if ways.Local {
			no += "; local users sign in with --user NAME"
		}
		return handlers.LoginRequest{}, errors.New(no)
	}
	d := ways.Device
	tokens, err := device.SignIn(ctx, device.Client{ID: d.ClientID, DeviceURL: d.DeviceURL, TokenURL: d.TokenURL, Scopes: d.Scopes}, func(code device.Code) error {
		text := "To sign in, open " + view.Clean(code.URL) + "\nand give the code  " + view.Clean(code.Code) + "\n"
		if code.Whole != "" {
			text += "or open " + view.Clean(code.Whole) + " and see that it shows this code.\n"
		}
		_, err := io.WriteString(p.Stderr, text)
		return err
	})
	if err != nil {
		return handlers.LoginRequest{}, ended(ctx, err)
	}
	return handlers.LoginRequest{IDToken: tokens.ID.Reveal(), AccessToken: tokens.Access.Reveal()}, nil
}

// readPassword asks on a terminal without showing what is typed, or reads one line.
func (p *program) readPassword(what string) (string, error) {
	if fd, ok := terminal(p.Stdin); ok {
		_, _ = fmt.Fprint(p.Stderr, view.Clean(what)+": ")
		typed, err := term.ReadPassword(fd)
		_, _ = fmt.Fprintln(p.Stderr)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		return string(typed), nil
	}
	line, err := bufio.NewReader(io.LimitReader(p.Stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usagef("no %s: type it, or give it on standard input", what)
	}
	return line, nil
}

func (p *program) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout", Short: "End the session of this machine", Args: cobra.NoArgs,
		Long: "End the session that \"backout login\" began on this machine, at the server too. Without one nothing happens.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := p.sessionToken()
			if err != nil {
				return err
			}
			if token.Reveal() == "" {
				return p.print(loggedOut{}, func(view.Style) string { return "not signed in\n" })
			}
			c, err := p.clientWith(token)
			if err != nil {
				return err
			}
			// A session that the server does not know is as good as ended. One that it could
			// not be told of is kept, so that the next try can.
			if err := c.Logout(cmd.Context()); err != nil && !errors.Is(err, client.ErrUnauthenticated) && !errors.Is(err, backout.ErrNotFound) {
				return err
			}
			if err := p.saveSession(nil); err != nil {
				return err
			}
			return p.print(loggedOut{true}, func(view.Style) string { return "signed out\n" })
		},
	}
}

type loggedOut struct {
	SignedOut bool `json:"signed_out"`
}

func (p *program) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Say who the server takes you for", Args: cobra.NoArgs,
		Long: "Say whose token or session this is, which groups count, and what that person may do where.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			who, err := c.Who(cmd.Context())
			if err != nil {
				return err
			}
			return p.print(who, func(s view.Style) string { return view.Who(who, s, c.ServerTime()) })
		},
	}
}

func (p *program) authCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Passwords of local users"}
	cmd.AddCommand(&cobra.Command{
		Use: "hash-password", Short: "Hash a password for auth.users", Args: cobra.NoArgs,
		Long:    "Hash a password for password_hash of auth.users in backout.yaml. It is asked for, or read from\nstandard input: 12 to 72 bytes. Nothing is sent or kept.",
		Example: "  backout auth hash-password\n  pwgen -s 24 1 | tee password | backout auth hash-password",
		RunE: func(*cobra.Command, []string) error {
			given, err := p.readPassword("password")
			if err != nil {
				return err
			}
			hash, err := password.Hash(given)
			if err != nil {
				return usageError{err.Error()}
			}
			return p.print(struct {
				Hash string `json:"password_hash"`
			}{hash}, func(view.Style) string { return hash + "\n" })
		},
	})
	return cmd
}

func (p *program) sessionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "session", Aliases: []string{"sessions"}, Short: "List and end sessions"}
	cmd.AddCommand(p.sessionList(), p.sessionEnd())
	return cmd
}

func (p *program) sessionList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List sessions", Args: cobra.NoArgs,
		Long: "List your own sessions, the newest first; --all lists everybody's, which takes the role admin.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.Sessions(cmd.Context(), all)
			if err != nil {
				return err
			}
			return p.print(items(list), func(s view.Style) string { return view.Sessions(list, s, c.ServerTime()) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "everybody's")
	return cmd
}

func (p *program) sessionEnd() *cobra.Command {
	var e handlers.EndSession
	cmd := &cobra.Command{
		Use: "end [SESSION]", Short: "End a session, or all of a person", Args: cobra.MaximumNArgs(1),
		Long: `End one session by its id. With --user and no id end all sessions of that person, and
what Slack does in their name, until they sign in again. Others' sessions take the
role admin. --forget also lets their name go, for somebody else or for another account
at the provider, and their Slack accounts.`,
		Example: "  backout session end 5f2a90c1d3e4\n  backout session end --user mallory@example.org",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				e.ID = args[0]
			}
			if e.ID == "" && e.User == "" {
				return usagef("%s: name a session, or a person with --user", cmd.CommandPath())
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			if err := c.EndSession(cmd.Context(), e); err != nil {
				return err
			}
			return p.print(e, func(view.Style) string { return "ended\n" })
		},
	}
	cmd.Flags().StringVar(&e.User, "user", "", "whose")
	cmd.Flags().BoolVar(&e.Forget, "forget", false, "let the name and the Slack accounts go too")
	return cmd
}
