package cli

import (
	"github.com/spf13/cobra"
)

func (p *program) slackCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "slack", Short: "Set up Slack"}
	var address string
	manifest := &cobra.Command{
		Use: "manifest", Short: "Print the Slack app to create", Args: cobra.NoArgs,
		Long: `Print the manifest of the Slack app that interactive channels need: paste it at
api.slack.com/apps under "Create New App", "From a manifest". Without --address what
people press comes through Socket Mode, and nothing of this server needs to be public;
with it Slack posts to this server.`,
		Example: "  backout slack manifest > backout-app.json\n  backout slack manifest --address https://backout.example.com",
		RunE: func(*cobra.Command, []string) error {
			if p.SlackManifest == nil {
				return errMissing
			}
			data, err := p.SlackManifest(address)
			if err == nil {
				_, err = p.Stdout.Write(data)
			}
			return err
		},
	}
	manifest.Flags().StringVar(&address, "address", "", "this server's public https address, instead of Socket Mode")
	cmd.AddCommand(manifest)
	return cmd
}

func (p *program) doctorCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Ask the other sides whether the config would work", Args: cobra.NoArgs,
		Long: `Check every file as "backout check" does, then ask the other sides of the channels:
whether Slack takes the tokens, which scopes are missing, whether the app is in the
channel, whether Socket Mode can be opened and whether the clocks agree. Nothing is
posted. Ends with 1 when something would not work; warnings alone end with 0.`,
		Example: "  backout doctor\n  backout doctor -c /etc/backout/backout.yaml -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.checkFiles(cmd.Context(), p.Doctor, config)
		},
	}
	p.configFlag(cmd, &config)
	return cmd
}
