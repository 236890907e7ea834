// Package handlers is everything that comes in over HTTP: alerts, the JSON API,
// health, metrics and the status page. It states what it needs of the rest as
// small interfaces ([Intake], [Changes], [Rollbacks], [Control]) and decides
// nothing itself.
//
// # Alerts in
//
// POST /api/v1/alertmanager takes Alertmanager's webhook, version 4, and that of
// Grafana's contact points:
//
//	200  every alert of the request is on disk
//	400  not JSON, not version 4, or not the webhook's shape; the text names the field and the byte
//	401  no token, password, client certificate or signature, or a wrong one
//	409  replayed: a signed request that was taken before
//	413  larger than Limits.MaxBody, or more than one request or the storage may hold
//	415  the content type is not application/json
//	503  overloaded, the storage takes no writes, or the body stalled; Retry-After says when to come again
//
// Overload is never answered 429: Alertmanager tries 5xx again and gives an alert
// up at any other no. An empty list of alerts is a 200 that does nothing.
//
// POST /api/v2/alerts takes what Alertmanager's own API takes, so that Prometheus
// may send to both. It answers as Alertmanager does: 200 with an empty body; 400
// with a JSON string when some alerts are invalid, the others being taken; 400,
// 413, 415 or 422 with {"code", "message"} when the body is; and 401 and 503 as
// above.
//
// # The JSON API
//
// Everything below /api/v1 answers JSON; a list is {"items": [...]}. A no is
// {"error": {"code", "message", "violations", "problems", "request_id"}}, with
// the status of one table:
//
//	400 invalid          the request is wrong; unknown fields count as wrong
//	401 unauthenticated  no token, or a wrong one
//	403 forbidden        another site's page; without tokens also another host's name, or a proxy
//	404 not_found        no such thing, or no such route
//	405 bad_method       the route takes other methods; Allow names them
//	409 conflict, exists, final, stale
//	413 too_large        the request's body
//	415 content_type     it is not application/json
//	422 refused          the gate or the policy says no; violations say why
//	422 problems         the files have mistakes; problems lists them
//	423 paused           the pause switch is on
//	500 internal         a bug; the log has it under the request id
//	503 unavailable, overloaded, stalled; with Retry-After
//
// docs/api.md lists every route, and a test holds it to the code.
//
// # Who may
//
// With tokens configured every route but /livez and /readyz wants one, as a
// bearer token or as the password of basic authentication. Without any, the
// server is for this machine only: a request must come from a loopback address,
// by a loopback name, and not through a proxy. State-changing requests of another site's page are refused
// either way.
//
// Senders of alerts, and only they, may also be known by a password, by a client
// certificate, or by a signature of the request ([Senders]).
package handlers
