package handlers

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Route is one thing the server answers.
type Route struct {
	Method string
	// Path is a pattern of [http.ServeMux]; {id} and the like stand for one name.
	Path string
	// Needs says what it takes: "nothing", "an intake token", "any token", "a person",
	// "a signature", or the right of a person, as docs/access.md has them: "read",
	// "look", "stop", "go_on", "approve", "change", "rule" or "admin". Without any token
	// configured this machine may do everything.
	Needs string
	// Doc is one line for people.
	Doc string
}

type route struct {
	Route
	access need
	// quiet routes are called so often that a yes is logged at debug level.
	quiet bool
	// stream routes last as long as the client stays.
	stream bool
	// likeAlertmanager routes say no in Alertmanager's shape.
	likeAlertmanager bool
	handle           func(*call) error
}

// Routes lists everything the server answers.
func (h *Handler) Routes() []Route {
	all := h.table()
	out := make([]Route, len(all))
	for i, rt := range all {
		out[i] = rt.Route
	}
	return out
}

func on(method, path string, want need, doc string, handle func(*call) error) route {
	return route{Route: Route{method, path, want.String(), doc}, access: want, handle: handle}
}

func (r route) quietly() route        { r.quiet = true; return r }
func (r route) streaming() route      { r.stream = true; return r }
func (r route) asAlertmanager() route { r.likeAlertmanager = true; return r }

func (h *Handler) table() []route {
	return slices.Concat(h.edgeRoutes(), h.changeRoutes(), h.baselineRoutes(), h.rollbackRoutes(), h.ruleRoutes(), h.controlRoutes(), h.tokenRoutes(), h.pageRoutes())
}

func (h *Handler) edgeRoutes() []route {
	return []route{
		on("GET", "/livez", accessOpen, "200 while the process answers.", h.livez).quietly(),
		on("GET", "/readyz", accessOpen, "200 once alerts may come; 503 says what is missing.", h.readyz).quietly(),
		on("GET", "/metrics", accessRead, "Numbers in Prometheus' text format.", h.showMetrics).quietly(),
		on("POST", "/api/v1/alertmanager", accessIntake, "Alertmanager's webhook, version 4, and Grafana's.", h.webhook).quietly(),
		on("POST", "/api/v2/alerts", accessIntake, "Alerts as Alertmanager's own API takes them.", h.postAlerts).quietly().asAlertmanager(),
		on("GET", "/api/v2/status", accessRead, "A status as Alertmanager's own API gives it.", h.alertmanagerStatus).quietly().asAlertmanager(),
		on("POST", "/slack/interactions", accessSigned, "What people press in Slack, signed by Slack.", h.slackInteraction),
	}
}

// slackInteraction leaves the request to whoever knows Slack's signature.
func (h *Handler) slackInteraction(c *call) error {
	if h.o.Slack == nil {
		return noTo(http.StatusUnauthorized, "unauthenticated", "no channel of type slack has a signing_secret, so no signature is known")
	}
	h.o.Slack.ServeHTTP(c.w, c.r)
	return nil
}

func (h *Handler) changeRoutes() []route {
	const one = "/api/v1/changes/{id}"
	return []route{
		on("GET", "/api/v1/changes", mayRead, "Lists changes; ?state= and ?target= choose.", h.listChanges),
		on("POST", "/api/v1/changes", mayChange, "Plans a change; 201.", h.planChange),
		on("GET", one, mayRead, "One change as it stands.", h.showChange),
		on("GET", one+"/log", mayRead, "Everything that happened to the change.", h.changeLog),
		on("GET", one+"/gate", mayRead, "The gate's last answer, with its whole table; asks nothing.", h.gateAnswer),
		on("POST", one+"/gate", mayChange, "Asks the gate and opens nothing.", h.slowly(h.checkGate)),
		on("POST", one+"/open", mayChange, "Opens the window; 422 with the violations if the gate says no.", h.slowly(h.openChange)),
		on("POST", one+"/extend", mayChange, "Moves the window's end.", h.extendChange),
		on("POST", one+"/close", mayChange, "Ends the window and the watch.", h.closeChange),
		on("POST", one+"/cancel", mayChange, "Withdraws a change whose window never opened.", h.cancelChange),
		on("POST", one+"/patch-started", mayChange, "Tells that the patch is being applied.", h.patchStarted),
		on("POST", one+"/patch-ended", mayChange, "Tells that patching is over, on the `targets` given or on all; after the last the watch begins.", h.patchEnded),
	}
}

func (h *Handler) baselineRoutes() []route {
	const one = "/api/v1/changes/{id}"
	return []route{
		on("POST", one+"/baseline", mayChange, "Captures the baseline of every target.", h.slowly(h.captureBaseline)),
		on("GET", one+"/baseline/{target}", mayRead, "What a target was before the patch.", h.showBaseline),
		on("GET", one+"/delta/{target}", mayRead, "What the patch changed on a target.", h.showDelta),
		on("POST", one+"/drift", mayLook, "Compares targets with their baselines, now.", h.slowly(h.drift)),
		on("GET", "/api/v1/drift/{digest}", mayRead, "A comparison that was stored.", h.showDrift),
		on("GET", "/api/v1/holds", mayRead, "Lists what keeps patches from coming back; ?all=true also what was released.", h.listHolds),
		on("POST", "/api/v1/holds/release", mayGoOn, "Lets the patch come back to a target.", h.slowly(h.releaseHold)),
	}
}

func (h *Handler) rollbackRoutes() []route {
	const one = "/api/v1/rollbacks/{id}"
	return []route{
		on("GET", "/api/v1/rollbacks", mayRead, "Lists rollbacks; ?change=, ?active=true and ?unreviewed=true choose.", h.listRollbacks),
		on("POST", "/api/v1/rollbacks", mayApprove, "Starts a rollback by hand; 201.", h.startRollback),
		on("GET", one, mayRead, "One rollback as it stands.", h.showRollback),
		on("GET", one+"/log", mayRead, "Everything that happened to the rollback.", h.rollbackLog),
		on("GET", one+"/events", mayRead, "The log as a stream of events, until the last.", h.followRollback).streaming(),
		on("GET", one+"/notices", mayRead, "All notices about the rollback, the oldest first: delivered, waiting, given up.", h.rollbackNotices),
		on("GET", one+"/output/{attempt}", mayRead, "What the attempt has printed, as plain text.", h.stepOutput),
		on("POST", one+"/vote", accessAPI, "Answers the open question.", h.vote),
		on("POST", one+"/act", accessAPI, "Does one verb: hold, release, pause, resume, escalate, abort, resolve.", h.act),
	}
}

func (h *Handler) controlRoutes() []route {
	return []route{
		on("GET", "/api/v1/targets", mayRead, "Lists the inventory.", h.listTargets),
		on("GET", "/api/v1/monitoring", mayRead, "Whether monitoring is blind: when the alert that always fires was seen last.", h.showMonitoring),
		on("GET", "/api/v1/runners", mayRead, "Lists the runners near the targets that were heard of within the last hour.", h.listRunners),
		on("GET", "/api/v1/notices", mayRead, "Lists undelivered notices: waiting, and given up.", h.listNotices),
		on("POST", "/api/v1/notices/test", mayAdmin, "Sends a test notice through a channel, now, or with `dry_run` only writes it; its words.", h.notifyTest),
		on("GET", "/api/v1/pause", mayRead, "The pause switch.", h.pauseState),
		on("POST", "/api/v1/pause", mayStop, "Stops all new effects.", h.pause),
		on("POST", "/api/v1/resume", mayGoOn, "Ends the pause.", h.resume),
		on("GET", "/api/v1/backup", mayAdmin, "A backup of the store, as a file that ends with its own checksum.", h.backup).streaming(),
		on("POST", "/-/reload", mayAdmin, "Reads the files again; 204, or 422 with their problems.", h.reload),
	}
}

// routed builds the mux: the table, 405 for its paths' other methods, and 404
// for everything else.
func (h *Handler) routed() *http.ServeMux {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range h.table() {
		mux.Handle(rt.Method+" "+rt.Path, h.serve(rt))
		methods[rt.Path] = append(methods[rt.Path], rt.Method)
		if rt.Method == http.MethodGet {
			methods[rt.Path] = append(methods[rt.Path], http.MethodHead)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(methods)) {
		slices.Sort(methods[path])
		allow := strings.Join(methods[path], ", ")
		mux.Handle(path, h.serve(route{Route: Route{Path: path}, access: accessOpen, handle: func(c *call) error {
			c.w.Header().Set("Allow", allow)
			return noTo(http.StatusMethodNotAllowed, "bad_method", "this route takes "+allow)
		}}))
	}
	mux.Handle("/", h.serve(route{Route: Route{Path: "other"}, access: accessOpen, handle: func(*call) error { return errNoRoute }}))
	return mux
}
