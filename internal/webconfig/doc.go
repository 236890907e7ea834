// Package webconfig reads the web config file that Prometheus, Alertmanager and
// their exporters share (--web.config.file), and answers what it says: which
// certificate to serve with, whose client certificates are let in, and which
// passwords senders of alerts have.
//
// The format is that of prometheus/exporter-toolkit v0.20.0,
// docs/web-configuration.md. It is decoded here and not by that module: its loader
// is not exported, its Validate names neither file nor line, and its package brings
// eleven modules with it (a second YAML library, vsock, systemd activation and
// golang.org/x/net/trace among them) for four structs. A test holds what is read
// here to what promtool check web-config, which is that module, takes.
//
// # Where it is stricter
//
// Whatever would guard nothing is refused rather than taken: a client_auth_type that
// does not verify, verifying without a client_ca (any public authority would do), an
// empty client_allowed_sans, TLS before 1.2, a hash that costs nothing or minutes, an
// empty password. http_server_config.headers and rate_limit are refused because the
// server sets its own headers and never answers 429.
//
// Client certificates are verified with every request, not only when the connection
// begins, so that a name or an authority that is taken out counts at once.
//
// Nothing here prints a hash, a password or a key.
package webconfig
