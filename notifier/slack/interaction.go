package slack

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

// Interaction is what somebody did in Slack: pressed a button, or sent a form.
type Interaction struct {
	// Team is the account's own workspace, User its id.
	Team, User string
	// Host is the workspace where it happened.
	Host string
	// Channel is where the card is.
	Channel string
	// Action is one of the card's actions, empty for what needs no answer.
	Action  string
	Subject Subject
	// Form is set when a form was sent, with its reason.
	Form   bool
	Reason string
	// Trigger opens a form, within three seconds.
	Trigger string
	// At is when a button was pressed; zero for forms.
	At time.Time
	// Key tells interactions apart: one that comes again has the same. Where a form
	// has no Trigger it is not enough: the same form may be sent twice.
	Key string
}

// payload is what Slack sends, as far as it is read: reference/interaction-payloads,
// block_actions and view_submission.
type payload struct {
	Type      string `json:"type"`
	TriggerID string `json:"trigger_id"`
	Team      struct {
		ID string `json:"id"`
	} `json:"team"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	Channel struct {
		ID string `json:"id"`
	} `json:"channel"`
	Actions []struct {
		ActionID string `json:"action_id"`
		ActionTS string `json:"action_ts"`
		Value    string `json:"value"`
	} `json:"actions"`
	View struct {
		ID              string `json:"id"`
		CallbackID      string `json:"callback_id"`
		PrivateMetadata string `json:"private_metadata"`
		State           struct {
			Values map[string]map[string]struct {
				Value string `json:"value"`
			} `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

// ParseInteraction reads a payload as Slack sends it, over HTTP or Socket Mode. What is
// none of the cards' business has no Action.
func ParseInteraction(data []byte) (Interaction, error) {
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return Interaction{}, fmt.Errorf("%w: the payload is not what Slack sends: %w", backout.ErrInvalid, err)
	}
	in := Interaction{Team: p.User.TeamID, User: p.User.ID, Host: p.Team.ID, Channel: p.Channel.ID, Trigger: p.TriggerID}
	if in.Team == "" {
		in.Team = p.Team.ID
	}
	switch p.Type {
	case "block_actions":
		if len(p.Actions) != 1 {
			return in, fmt.Errorf("%w: %d actions in one payload", backout.ErrInvalid, len(p.Actions))
		}
		a := p.Actions[0]
		in.Action, in.Subject, in.At = a.ActionID, ParseSubject(a.Value), timeOf(a.ActionTS)
		if a.ActionID == actionOpen {
			in.Action = "" // a link: the browser has gone there already
		}
		in.Key = strings.Join([]string{p.Type, in.Team, in.User, p.TriggerID, a.ActionID, a.ActionTS}, "|")
	case "view_submission":
		var about string
		in.Channel, about, _ = strings.Cut(p.View.PrivateMetadata, "\n")
		in.Action, in.Subject, in.Form = p.View.CallbackID, ParseSubject(about), true
		in.Reason = strings.TrimSpace(p.View.State.Values[reasonBlock][reasonInput].Value)
		in.Key = strings.Join([]string{p.Type, in.Team, in.User, p.TriggerID, p.View.ID}, "|")
	default:
		return in, nil
	}
	if in.User == "" || in.Team == "" || p.TriggerID == "" && !in.Form {
		return in, fmt.Errorf("%w: the payload does not say who did it", backout.ErrInvalid)
	}
	return in, nil
}

// timeOf reads Slack's "seconds.micros".
func timeOf(ts string) time.Time {
	whole, _, _ := strings.Cut(ts, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// Reply is what Slack is told about a form: nothing closes it.
type Reply []byte

// Say replaces a form by a line of plain text.
func Say(title, text string) Reply {
	view := modal(title, sayBlock(text))
	data, err := json.Marshal(map[string]any{"response_action": "update", "view": view})
	if err != nil {
		return nil
	}
	return data
}
