// Package auth lets people in: at an OpenID Connect provider, or with a password as a
// local user for when the provider is down. It keeps their sessions, asks them to prove
// again who they are, and ties Slack accounts to them.
//
// # Deny by default
//
// Who signs in is somebody; what they may do comes from the config alone, by name and by
// group, and is looked up at every request. Of the provider's groups only those count
// that the config names. Nobody in none of them, and named nowhere, may do anything: the
// account page says so.
//
// # Names
//
// A name belongs to one account of one provider (its issuer and subject), and an account
// has one name: else a person who renames themselves at the provider could vote twice, or
// as somebody else. Both stay so until an admin lets the name go. An account with the
// name of a local user is refused.
//
// # What is kept
//
// One document for a person, one for an account of the provider and one for an account of
// Slack, in the store's CONTROL bucket: what is there is bounded by the people, not by
// logins. Session and link tokens are 32 random bytes and kept as SHA-256 hashes. A
// document is changed by compare-and-set, so that what is good once is good once, on
// whichever server. Logins that have begun are kept nowhere: a cookie holds 32 random
// bytes, from which state, nonce and PKCE verifier are derived.
//
// # Signing in from the command line
//
// GET /api/v1/login tells the provider's device authorization and token endpoints, the
// client (a public one: it has no secret) and the scopes. The program runs RFC 8628
// against the provider and posts what it got to POST /api/v1/login as
// {"id_token": ..., "access_token": ...}. The server takes an ID token once, at most five
// minutes old, made for that client, and without a nonce (one with a nonce was made for a
// browser); the access token is used to ask the provider for groups where the ID token
// has none, and forgotten. The answer is {"token": "bos_...", ...}: a session, sent from
// then on as Authorization: Bearer. Local users post {"name": ..., "password": ...}.
//
// # Browser defences
//
// The cookie is __Host-, Secure, HttpOnly and SameSite=Lax (a link in a chat must arrive
// signed in); only where external_url is plain http on a loopback name it has neither
// prefix nor Secure. A state-changing request with a cookie must say that it comes from
// this site's page; forms carry a token of the session as well. A login always makes a
// new session and ends the one that the browser had. GET changes nothing but the cookie
// of a login that has begun.
package auth
