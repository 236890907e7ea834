// Package handlers is everything that comes in over HTTP: alerts, the JSON API,
// health and metrics. It states what it needs of the rest as small interfaces
// and decides nothing itself.
package handlers
