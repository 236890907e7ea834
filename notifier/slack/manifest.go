package slack

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/backout-io/backout"
)

// Manifest is the Slack app that interactive channels need, as Slack's "create an app
// from a manifest" takes it (docs.slack.dev, reference/app-manifest). Without an
// address interactions come through Socket Mode; with one Slack posts them to it, which
// must be this server's, over https.
func Manifest(address string) ([]byte, error) {
	settings := map[string]any{
		"socket_mode_enabled": address == "", "org_deploy_enabled": false, "token_rotation_enabled": false,
		"interactivity": map[string]any{"is_enabled": true},
	}
	if address != "" {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return nil, fmt.Errorf("address %q: want the server's https address, such as https://backout.example.com: %w", address, backout.ErrInvalid)
		}
		settings["interactivity"] = map[string]any{"is_enabled": true, "request_url": strings.TrimSuffix(address, "/") + "/slack/interactions"}
	}
	data, err := json.MarshalIndent(map[string]any{
		"_metadata": map[string]any{"major_version": 1, "minor_version": 1},
		"display_information": map[string]any{
			"name": "backout", "description": "Rolls back a patch when it turns the dashboard red", "background_color": "#1f2430",
		},
		"features":     map[string]any{"bot_user": map[string]any{"display_name": "backout", "always_online": true}},
		"oauth_config": map[string]any{"scopes": map[string]any{"bot": append(Scopes(true), readScopes...)}},
		"settings":     settings,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	return append(data, '\n'), nil
}
