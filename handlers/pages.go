package handlers

import (
	"context"
	"net/http"
	"sync"
)

// PageRoute is a route that another package serves: pages for people, and how they
// sign in.
type PageRoute struct {
	// Method is GET or POST; Path and Doc are as in [Route].
	Method, Path, Doc string
	// Needs is as in [Route]. A word that is not known lets nobody in.
	Needs string
	// Stream routes last as long as the client stays. Their request's context ends with
	// the server.
	Stream bool
	// Slow routes reach targets or other systems: they may take as long as [SlowCall]. An
	// eighth of [Limits.MaxSlow] of them run at once, beside those of the API: people who
	// look must not keep a pipeline from opening a window.
	Slow bool
	// Enduring routes go on when the client goes away, for [SlowCall] at most: what they
	// began is finished, unless the server ends.
	Enduring bool
	// Serve answers, or returns an error that was made by [Refuse] or wraps one of the
	// root package's. by is empty where Needs is nothing; where it is, so is the actor
	// of the request's context. A state-changing request that a browser says comes from
	// another site's page never gets here.
	Serve func(w http.ResponseWriter, r *http.Request, by Actor) error
}

// ErrorPage writes an error as a page, for who asked for one.
type ErrorPage func(w http.ResponseWriter, r *http.Request, status int, body ErrorBody)

// needNamed is the need with that word; nobody's when there is none.
func needNamed(word string) need {
	for n, of := range needs {
		if of.words == word {
			return n
		}
	}
	return accessNobody
}

func (h *Handler) pageRoutes() []route {
	out := make([]route, 0, len(h.o.Pages))
	for _, p := range h.o.Pages {
		rt := on(p.Method, p.Path, needNamed(p.Needs), p.Doc, func(c *call) error { return p.Serve(c.w, c.r, c.actor) })
		if p.Stream {
			rt = rt.streaming()
			rt.handle = func(c *call) error { return h.servePageStream(c, p) }
		}
		if p.Enduring {
			rt.handle = func(c *call) error {
				return h.enduring(c.r.Context(), func(ctx context.Context) error {
					return p.Serve(c.w, c.r.WithContext(ctx), c.actor)
				})
			}
		}
		if p.Slow {
			rt.handle = h.slowlyIn(&h.slowPages, rt.handle)
		}
		out = append(out, rt)
	}
	return out
}

// servePageStream serves a stream that ends with the server, and in which the page can
// ask whether whoever looks at it still may.
func (h *Handler) servePageStream(c *call, p PageRoute) error {
	if !h.pages.enter() {
		return errOverloaded
	}
	defer h.pages.leave()
	if !h.pagesOf.enter(c.actor.Name) {
		return errOverloaded
	}
	defer h.pagesOf.leave(c.actor.Name)
	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	stop := context.AfterFunc(h.endingCtx, cancel)
	defer stop()
	asked := c.r
	ctx = context.WithValue(ctx, againKey{}, func() (Actor, error) { return h.identify(asked, c.need) })
	c.r = c.r.WithContext(ctx)
	return p.Serve(c.w, c.r, c.actor)
}

// shares bound what each of many may take.
type shares struct {
	most int
	mu   sync.Mutex
	of   map[string]int
}

func (s *shares) enter(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[name] >= s.most {
		return false
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[name]++
	return true
}

func (s *shares) leave(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[name]--; s.of[name] <= 0 {
		delete(s.of, name)
	}
}

type againKey struct{}

// StillIn identifies whoever follows a stream once more: a token or a session may have
// ended since, or a role may have been taken away. ctx is the request's.
func StillIn(ctx context.Context) (Actor, error) {
	again, ok := ctx.Value(againKey{}).(func() (Actor, error))
	if !ok {
		return Actor{}, errWrongToken
	}
	return again()
}

// asPage tells whether the answer to the request is to be a page.
func (h *Handler) asPage(rt route, r *http.Request) bool {
	return h.o.ErrorPage != nil && !rt.likeAlertmanager && wantsPage(r)
}
