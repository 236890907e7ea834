package slack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/notifier"
)

// maxSkew is how far Slack's clock and this machine's may be apart. Signed requests
// and clicks are refused at five minutes.
const maxSkew = time.Minute

// Scopes are the bot scopes that a channel needs; interactive ones need more.
func Scopes(interactive bool) []string {
	if interactive {
		return []string{"chat:write", "users:read"}
	}
	return []string{"chat:write"}
}

// readScopes let the doctor see whether the app is in a channel.
var readScopes = []string{"channels:read", "groups:read"}

// Examine asks Slack whether the channel would work, without posting anything: token,
// workspace, scopes, clock, membership, Socket Mode. Each problem says what to do; File
// and Line are the caller's to fill in.
func (n *Notifier) Examine(ctx context.Context) backout.Problems {
	ctx, cancel := context.WithTimeout(ctx, 3*timeout)
	defer cancel()
	var found backout.Problems
	say := func(warning bool, what, fix string) {
		found = append(found, backout.Problem{What: what, Fix: fix, Warning: warning})
	}
	began := time.Now()
	who, err := n.desk.api.AuthTestContext(ctx)
	var answer slackgo.SlackErrorResponse
	switch {
	case err != nil && !errors.As(err, &answer):
		say(false, "Slack cannot be asked: "+n.words(err), "look at this machine's name service, proxy and way out to https, and at api_url")
		return found
	case err != nil:
		say(false, "Slack does not take the token: "+n.words(err), "install the app again and replace the token; backout slack manifest prints the app")
		return found
	}
	if n.config.Team != "" && who.TeamID != n.config.Team && who.EnterpriseID != n.config.Team {
		say(false, fmt.Sprintf("the token is for the workspace %s, team says %s", who.TeamID, n.config.Team), "set team: "+who.TeamID)
	}
	n.examineClock(who.Header, began, say)
	granted := n.examineScopes(who.Header, say)
	n.examineChannel(ctx, granted, say)
	if n.Socket() {
		if _, _, err := n.desk.api.StartSocketModeContext(ctx); err != nil {
			say(false, "Socket Mode cannot be opened: "+n.words(err),
				"app_token must be an app-level token (xapp-…) with the scope connections:write, and Socket Mode must be on in the app's settings")
		}
	}
	return found
}

func (n *Notifier) words(err error) string {
	text := notifier.Redact(err.Error(), n.desk.tokens...)
	var answer slackgo.SlackErrorResponse
	if errors.As(err, &answer) && answer.Needed != "" {
		text += " (needs " + answer.Needed + ", has " + answer.Provided + ")"
	}
	return text
}

// examineClock compares the clocks by the answer's date, which is whole seconds.
func (n *Notifier) examineClock(header http.Header, began time.Time, say func(bool, string, string)) {
	theirs, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	if skew := theirs.Sub(began); skew.Abs() > maxSkew {
		say(n.config.SigningSecret.IsZero(), fmt.Sprintf("this machine's clock is %v off Slack's", (-skew).Round(time.Second)),
			"set the clock (chronyc tracking): what is five minutes off is refused as expired")
	}
}

func (n *Notifier) examineScopes(header http.Header, say func(bool, string, string)) (granted []string) {
	for scope := range strings.SplitSeq(header.Get("X-OAuth-Scopes"), ",") {
		if scope = strings.TrimSpace(scope); scope != "" {
			granted = append(granted, scope)
		}
	}
	if len(granted) == 0 {
		return nil // Slack did not say
	}
	for _, scope := range Scopes(n.config.Interactive) {
		if !slices.Contains(granted, scope) {
			say(false, "the app lacks the scope "+scope, "add it under OAuth & Permissions and install the app again")
		}
	}
	return granted
}

// examineChannel tells whether the app is where it is to post.
func (n *Notifier) examineChannel(ctx context.Context, granted []string, say func(bool, string, string)) {
	if strings.HasPrefix(n.channel, "D") {
		return
	}
	info, err := n.desk.api.GetConversationInfoContext(ctx, &slackgo.GetConversationInfoInput{ChannelID: n.channel})
	var answer slackgo.SlackErrorResponse
	switch {
	case errors.As(err, &answer) && answer.Err == "missing_scope":
		say(true, "it cannot be seen whether the app is in channel "+n.channel, "add the scopes "+strings.Join(readScopes, " and ")+", or send a test: backout notify test")
	case errors.As(err, &answer) && answer.Err == "channel_not_found":
		say(false, "the app sees no channel "+n.channel, "check the id, and /invite the app when the channel is private")
	case err != nil:
		say(true, "Slack does not tell of channel "+n.channel+": "+n.words(err), "try again")
	case info.IsArchived:
		say(false, "channel "+n.channel+" is archived", "name another one")
	case !info.IsMember && !slices.Contains(granted, "chat:write.public"):
		say(false, "the app is not in channel "+n.channel, "/invite it there, or give it the scope chat:write.public")
	}
}
