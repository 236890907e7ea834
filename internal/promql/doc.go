// Package promql asks Prometheus one question about one target.
//
// # Promises
//
// A query is a text that a person wrote, with {target} and {address} in it; what
// stands for them is filled in as text of a string literal, so that a name never
// becomes a part of the query. An answer is read up to 1 MiB, and what is not an
// answer is an error in one line.
package promql
