package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/authorized"
	"github.com/backout-io/backout/internal/ui"
)

// Options are what the pages are made from.
type Options struct {
	// Services ask for every call whether the actor may.
	Services authorized.Services
	// Tokens lists the API tokens of whoever looks; nil where there are none.
	Tokens handlers.Tokens
	// People tells that people sign in here.
	People bool
	// Base is the path that stands before every route outside, ExternalURL the whole
	// address that people use; empty where nobody knows it.
	Base        string
	ExternalURL string
	Version     string
}

// Dashboard serves the pages. It is safe for concurrent use.
type Dashboard struct {
	o    Options
	hub  *hub
	late late

	logs         logs
	explanations explanations
	spans        spans
	ended        allEnded
	// explaining has room for the questions that are answered at once.
	explaining chan struct{}

	// gists and histories are what was read of logs and alerts, deltas those in words by
	// their digests, answers those of the gate; asking are the changes whose gate is asked
	// by this page now.
	gists     gists
	histories histories
	deltas    texts
	answers   answers
	asking    asking
}

// New returns the dashboard. [Dashboard.Close] ends it.
func New(o Options) *Dashboard {
	d := &Dashboard{o: o, hub: newHub(), explaining: make(chan struct{}, explainsAtOnce), ended: allEnded{turn: newTurn()}}
	d.hub.stop = o.Services.Insight.Watch(d.hub.changed)
	return d
}

// Close ends what watches the services. Streams end with the server.
func (d *Dashboard) Close() { d.hub.stop() }

// page is one page.
type page struct {
	path, doc string
	// here is its entry in the navigation.
	here string
	// live tells that it has a stream.
	live bool
	// liveAt is where that is: behind the page's own path, unless a name of something
	// could stand there.
	liveAt string
	// slow tells that it asks other systems.
	slow bool
	// params are the parameters of the address that it knows.
	params []string
	// gather reads, for a stream, what takes long: before its turn to be built comes, for
	// which all other open pages wait. Nil where nothing does.
	gather func(ctx context.Context, q *query) error
	build  func(ctx context.Context, q *query) (ui.Content, error)
}

// query is what a page is asked for.
type query struct {
	by handlers.Actor
	r  *http.Request
	// get returns a parameter of the address.
	get func(name string) string
	now time.Time
	// ended is what was gathered of rollbacks; nil on a page that is loaded.
	ended *endings
	// typed is what was typed into a form that was refused; nil on every other page.
	typed *typed
}

func (d *Dashboard) pages() []page {
	return []page{
		{path: "/{$}", doc: "What is red, what is being rolled back, and when the next thing happens.", here: "now", live: true, build: d.now},
		{path: "/changes", doc: "The windows of a time, and the changes in it.", here: "changes", live: true, liveAt: "/live/changes", params: changesParams, build: d.changes},
		{path: "/changes/{id}", doc: "One change: where it stands, what happens next, and everything that happened.", here: "changes", live: true, params: changeParams, build: d.change},
		{path: "/readiness", doc: "Whether the rollbacks of the next windows would work: what the gate says of every target, level and check.", here: "readiness", live: true, params: readinessParams, build: d.readiness},
		{path: "/drift/{digest}", doc: "How a target differs from its baseline.", here: "rollbacks", params: []string{"part"}, build: d.drift},
		{path: "/settings", doc: "How the server and what it leans on are, and one's own API tokens.", here: "settings", build: d.settings},
		{path: "/settings/examine", doc: "The same after everything was asked whether it would work.", here: "settings", slow: true, build: d.examine},
		{path: "/rollbacks", doc: "All rollbacks, those under way first, and how long their levels took.", here: "rollbacks", live: true, liveAt: "/live/rollbacks", params: rollbacksParams, gather: d.gatherEnded, build: d.rollbacks},
		{path: "/rollbacks/{id}", doc: "One rollback: how it stands, why, who was told, and everything that happened.", here: "rollbacks", live: true, params: rollbackParams, build: d.rollback},
		{path: "/rollbacks/{id}/records/{seq}", doc: "One record of the log of a rollback.", here: "rollbacks", build: d.rollbackRecord},
		{path: "/changes/{id}/records/{seq}", doc: "One record of the log of a change.", here: "changes", build: d.changeRecord},
		{path: "/rules", doc: "The rules, what they may do and how they have done.", here: "rules", live: true, params: []string{"text", "mode", "group", "page"}, build: d.rules},
		{path: "/rules/rule", doc: "One rule: what it says, what it said last, and who let it act.", here: "rules", params: []string{"name"}, build: d.rule},
	}
}

// Pages are the routes of the dashboard.
func (d *Dashboard) Pages() []handlers.PageRoute {
	var out []handlers.PageRoute
	for _, p := range d.pages() {
		out = append(out, handlers.PageRoute{Method: "GET", Path: p.path, Needs: "read", Slow: p.slow, Doc: p.doc, Serve: d.whole(p)})
		if p.live {
			out = append(out, handlers.PageRoute{
				Method: "GET", Path: p.livePath(), Needs: "read", Stream: true, Serve: d.follow(p),
				Doc: "The same page whenever it looks different, as a stream of events.",
			})
		}
	}
	return slices.Concat(out, d.actions(), d.explainRoutes(), d.replayRoutes(), []handlers.PageRoute{
		{Method: "GET", Path: "/assets/{name}", Needs: "nothing", Doc: "Script, style and icons of the pages.", Serve: serveAsset},
	})
}

// livePath is where the stream of the page is.
func (p page) livePath() string {
	if p.liveAt != "" {
		return p.liveAt
	}
	return strings.TrimSuffix(strings.TrimSuffix(p.path, "{$}"), "/") + "/live"
}
