// Package slackfake plays a Slack workspace as far as backout uses one: the Web API,
// Socket Mode, signed requests for interactivity, people who press buttons. It holds
// an app to the limits that Slack documents, so what passes here is within them.
//
// The shapes and limits are from docs.slack.dev: the pages of each method under
// reference/methods, reference/block-kit, reference/interaction-payloads,
// reference/views, apis/web-api/rate-limits, apis/events-api/using-socket-mode,
// interactivity/handling-user-interaction and
// authentication/verifying-requests-from-slack. What Slack does not document, such as
// how long a burst may be, is marked where it is decided.
package slackfake
