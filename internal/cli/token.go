package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/cli/view"
)

func (p *program) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Aliases: []string{"tokens"}, Short: "Make, list and end API tokens",
		Long: `An API token acts for the person who made it, with no more than they may do: with the roles
that it lends, where it lends them, until it expires. It is for pipelines and scripts.`,
	}
	cmd.AddCommand(p.tokenCreate(), p.tokenList(), p.tokenRevoke())
	return cmd
}

func (p *program) tokenCreate() *cobra.Command {
	var r handlers.TokenRequest
	var roles, labels []string
	var expires string
	cmd := &cobra.Command{
		Use: "create", Short: "Make a token; it is shown once", Args: cobra.NoArgs,
		Long: `Make a token and print it, and nothing else, on standard output: the server keeps no more
than its hash, so nobody can show it again. Say what it may do with --role and where
with --label or --everywhere: nothing said means nothing, never everything.`,
		Example: "  backout token create --note \"patch pipeline\" --role author --label team=web --expires 30d > web.token",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := readToken(&r, roles, labels, expires); err != nil {
				return err
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			made, err := c.CreateToken(cmd.Context(), r)
			if err != nil {
				return err
			}
			shown := struct {
				handlers.TokenStatus
				Token string `json:"token"`
			}{made.TokenStatus, made.Token.Reveal()}
			if err := p.print(shown, func(view.Style) string { return view.Clean(shown.Token) + "\n" }); err != nil || p.format == "json" {
				return err
			}
			_, err = fmt.Fprint(p.Stderr, view.TokenMade(made.TokenStatus, c.ServerTime()))
			return err
		},
	}
	cmd.Flags().StringVar(&r.Note, "note", "", "what the token is for")
	cmd.Flags().StringArrayVar(&roles, "role", nil, "a role that it lends: viewer, operator, approver, author or admin (repeat for more)")
	cmd.Flags().StringArrayVar(&labels, "label", nil, "where: a label NAME=VALUE that a target must have (repeat for more: all of them)")
	cmd.Flags().BoolVar(&r.Everywhere, "everywhere", false, "where: on every target, and on the server itself")
	cmd.Flags().StringVar(&expires, "expires", "90d", "how long it works, at most 365d")
	required(cmd, "note")
	required(cmd, "role")
	cmd.MarkFlagsOneRequired("label", "everywhere")
	cmd.MarkFlagsMutuallyExclusive("label", "everywhere")
	return cmd
}

// readToken reads the flags that are not plain.
func readToken(r *handlers.TokenRequest, roles, labels []string, expires string) error {
	for _, role := range roles {
		r.Roles = append(r.Roles, backout.Role(role))
	}
	for _, label := range labels {
		name, value, ok := strings.Cut(label, "=")
		if !ok || name == "" {
			return usagef("--label %s: want NAME=VALUE", label)
		}
		if _, twice := r.Labels[name]; twice {
			return usagef("--label %s: %s is given twice, and no target has two values", label, name)
		}
		if r.Labels == nil {
			r.Labels = map[string]string{}
		}
		r.Labels[name] = value
	}
	works, err := backout.ParseDuration(expires)
	if err != nil || works == 0 {
		return usagef("--expires %s: want a time such as 30d or 12h", expires)
	}
	r.ExpiresIn = works
	return nil
}

func (p *program) tokenList() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List tokens", Args: cobra.NoArgs,
		Long: `List your own tokens, the newest first; --all lists everybody's, which takes the role admin.
The last use is exact to the hour. One that has ended is listed for 30 days more.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			list, err := c.ListTokens(cmd.Context(), all)
			if err != nil {
				return err
			}
			return p.print(items(list), func(s view.Style) string { return view.Tokens(list, s, c.ServerTime()) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also other people's")
	return cmd
}

func (p *program) tokenRevoke() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "End a token, at once", Args: cobra.ExactArgs(1),
		Long: `End a token at once, on every server: one of your own or, with the role admin, anybody's.
Revoking again changes nothing.`,
		Example: "  backout token revoke 3f2a9c1e5b7d8046 --reason \"left in a build log\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.client()
			if err != nil {
				return err
			}
			revoked, err := c.RevokeToken(cmd.Context(), args[0], reason)
			if err != nil {
				return err
			}
			return p.print(revoked, func(s view.Style) string { return view.Tokens([]handlers.TokenStatus{revoked}, s, c.ServerTime()) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log and the list")
	return cmd
}
