package handlers

import (
	"context"
	"net/http"
)

// Sessions tells who is signed in.
type Sessions interface {
	// Identify returns who the request's session is of, as they are now: with their
	// grants, and with LoginAt. It reads the request's headers and nothing more: a
	// cookie, or a bearer token that is a session's. Without either, and with any other
	// kind of token, ok is false and err nil. An err is the answer: a session that
	// ended, a person who may not act any more, a cookie that another site's page had
	// the browser send, or a store that cannot say. An actor without grants is somebody
	// whom no role was given.
	Identify(r *http.Request) (actor Actor, ok bool, err error)
}

type actorKey struct{}

// WithActor says who asks for what is done with ctx. Whatever comes in by another
// way than HTTP says it before it reads.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom is who asks; the zero Actor, who may do nothing, when nobody said.
func ActorFrom(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
