package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Options are what the handlers work with. Intake, Changes, Baselines,
// Rollbacks, Rules and Control are needed; everything else has a default.
type Options struct {
	Intake    Intake
	Changes   Changes
	Baselines Baselines
	Rollbacks Rollbacks
	Rules     Rules
	Control   Control
	// Insight is what the API shows of how things came to be; nil for none of it.
	Insight Insight
	// Slack takes what Slack posts, and checks itself that it is Slack's; nil when no
	// channel wants it.
	Slack http.Handler
	// Auth knows the tokens; nil means none, so loopback only.
	Auth *Auth
	// Senders are who may send alerts by other means than a token; nil means nobody.
	Senders *Senders
	// Sessions tells who is signed in; nil while nobody can sign in. With it this
	// machine needs a token or a session like any other.
	Sessions Sessions
	// Pages are the routes that other packages serve.
	Pages []PageRoute
	// ErrorPage writes errors for who asked for a page; nil writes them all as JSON.
	ErrorPage ErrorPage
	// Tokens makes and ends API tokens, and Bearers knows whose they are; nil for
	// none.
	Tokens  Tokens
	Bearers Bearers
	Limits  Limits
	Log     *slog.Logger
	Metrics *Metrics
	// ExternalURL is the address people use; its host name is accepted beside
	// loopback names when there are no tokens.
	ExternalURL string
	// Version is shown by GET /api/v2/status.
	Version string
}

// Limits bound what one request, and all of them together, may take. Zero means
// the default.
type Limits struct {
	// MaxBody is the largest body of alerts in bytes; 4 MiB.
	MaxBody int64
	// MaxRequest is the largest body of any other request in bytes; 1 MiB.
	MaxRequest int64
	// MaxWaiting is how many requests with alerts may wait for the storage at
	// once; 1024. More are answered 503.
	MaxWaiting int
	// MaxPending is how many bytes of bodies with alerts may be held at once; 48
	// MiB, or MaxBody if that is more. Decoded they take several times as much.
	MaxPending int64
	// BodyTimeout is how long a body of alerts may take to come; 20 s.
	BodyTimeout time.Duration
	// AcceptTimeout is how long alerts may wait for the storage; 10 s, which is
	// how long Prometheus waits for an answer.
	AcceptTimeout time.Duration
	// MaxStreams is how many event streams of the API may be open at once; 256.
	MaxStreams int
	// MaxPages is how many pages may be kept up to date at once, a quarter of them by one
	// person; 1024. More are told to come again.
	MaxPages int
	// MaxSlow is how many requests that reach targets may run at once; 64. More are
	// answered 503.
	MaxSlow int
}

func (l Limits) withDefaults() Limits {
	orElse(&l.MaxBody, 4<<20)
	orElse(&l.MaxRequest, 1<<20)
	orElse(&l.MaxWaiting, 1024)
	orElse(&l.MaxPending, max(48<<20, l.MaxBody))
	orElse(&l.BodyTimeout, 20*time.Second)
	orElse(&l.AcceptTimeout, 10*time.Second)
	orElse(&l.MaxStreams, 256)
	orElse(&l.MaxPages, 1024)
	orElse(&l.MaxSlow, 64)
	return l
}

func orElse[T int | int64 | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

// Handler answers every request. It is safe for concurrent use.
type Handler struct {
	o       Options
	limits  Limits
	log     *slog.Logger
	metrics *Metrics
	auth    *Auth
	senders *Senders
	// host is the external host name, base the path that stands before every route
	// outside.
	host, base string
	sameSite   *http.CrossOriginProtection
	intake     admission
	// unproven holds the bodies of signed requests until their signatures are compared:
	// who knows no secret must not fill the room of those who do.
	unproven admission
	// decoding holds one slot for every body that is being decoded.
	decoding chan struct{}
	streams  admission
	pages    admission
	// pagesOf bounds the open pages of one person to a quarter of all.
	pagesOf   shares
	slowPages admission
	slow      admission
	explains  admission
	// backingUp is held while a backup is made, reading while a history is.
	backingUp, reading sync.Mutex
	mux                *http.ServeMux
	started            time.Time

	// endingCtx ends when streams are to end.
	endingCtx context.Context //nolint:containedctx // the server's life, which no call has
	endNow    context.CancelFunc
}

// New builds the handler. It starts nothing.
func New(o Options) *Handler {
	h := &Handler{
		o: o, limits: o.Limits.withDefaults(), log: o.Log, metrics: o.Metrics, auth: o.Auth, senders: o.Senders,
		sameSite: http.NewCrossOriginProtection(), started: time.Now(),
	}
	h.endingCtx, h.endNow = context.WithCancel(context.Background())
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.metrics == nil {
		h.metrics = NewMetrics()
	}
	if h.auth == nil {
		h.auth = &Auth{}
	}
	if h.senders == nil {
		h.senders = &Senders{}
	}
	if u, err := url.Parse(o.ExternalURL); err == nil {
		h.host, h.base = u.Hostname(), BasePath(o.ExternalURL)
	}
	h.intake = admission{maxCount: int64(h.limits.MaxWaiting), maxBytes: h.limits.MaxPending}
	h.unproven = admission{maxBytes: max(h.limits.MaxPending/4, h.limits.MaxBody)}
	h.decoding = make(chan struct{}, runtime.GOMAXPROCS(0))
	h.streams = admission{maxCount: int64(h.limits.MaxStreams)}
	h.pages = admission{maxCount: int64(h.limits.MaxPages)}
	h.pagesOf.most = max(1, h.limits.MaxPages/4)
	h.slowPages = admission{maxCount: int64(max(1, h.limits.MaxSlow/8))}
	h.slow = admission{maxCount: int64(h.limits.MaxSlow)}
	h.explains = admission{maxCount: maxExplains}
	h.metrics.watch(&h.intake, &h.streams)
	h.mux = h.routed()
	return h
}

// BasePath is the path that stands before every route for who comes by the external
// address: empty when it has none.
func BasePath(externalURL string) string {
	u, err := url.Parse(externalURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(u.Path, "/")
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// EndStreams ends every event stream, so that a stopping server need not wait
// for them. Clients resume where they were.
func (h *Handler) EndStreams() { h.endNow() }
