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
	// Needs says who may: "nothing", "an intake token", "any token" or "an API
	// token". Without any token configured this machine may do everything.
	Needs string
	// Doc is one line for people.
	Doc string
}

type route struct {
	Route
	access access
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

func on(method, path string, want access, doc string, handle func(*call) error) route {
	return route{Route: Route{method, path, want.String(), doc}, access: want, handle: handle}
}

func (r route) quietly() route        { r.quiet = true; return r }
func (r route) streaming() route      { r.stream = true; return r }
func (r route) asAlertmanager() route { r.likeAlertmanager = true; return r }

func (h *Handler) table() []route {
	return slices.Concat(h.edgeRoutes(), h.changeRoutes(), h.baselineRoutes(), h.rollbackRoutes(), h.ruleRoutes(), h.controlRoutes())
}

func (h *Handler) edgeRoutes() []route {
	return []route{
		on("GET", "/{$}", accessAPI, "The status page, for people.", h.page),
		on("GET", "/livez", accessOpen, "200 while the process answers.", h.livez).quietly(),
		on("GET", "/readyz", accessOpen, "200 once alerts may come; 503 says what is missing.", h.readyz).quietly(),
		on("GET", "/metrics", accessRead, "Numbers in Prometheus' text format.", h.showMetrics).quietly(),
		on("POST", "/api/v1/alertmanager", accessIntake, "Alertmanager's webhook, version 4.", h.webhook).quietly(),
		on("POST", "/api/v2/alerts", accessIntake, "Alerts as Alertmanager's own API takes them.", h.postAlerts).quietly().asAlertmanager(),
		on("GET", "/api/v2/status", accessRead, "A status as Alertmanager's own API gives it.", h.alertmanagerStatus).quietly().asAlertmanager(),
	}
}

func (h *Handler) changeRoutes() []route {
	const one = "/api/v1/changes/{id}"
	return []route{
		on("GET", "/api/v1/changes", accessAPI, "Lists changes; ?state= and ?target= choose.", h.listChanges),
		on("POST", "/api/v1/changes", accessAPI, "Plans a change; 201.", h.planChange),
		on("GET", one, accessAPI, "One change as it stands.", h.showChange),
		on("GET", one+"/log", accessAPI, "Everything that happened to the change.", h.changeLog),
		on("POST", one+"/gate", accessAPI, "Asks the gate and opens nothing.", h.slowly(h.checkGate)),
		on("POST", one+"/open", accessAPI, "Opens the window; 422 with the violations if the gate says no.", h.slowly(h.openChange)),
		on("POST", one+"/extend", accessAPI, "Moves the window's end.", h.extendChange),
		on("POST", one+"/close", accessAPI, "Ends the window and the watch.", h.closeChange),
		on("POST", one+"/cancel", accessAPI, "Withdraws a change whose window never opened.", h.cancelChange),
		on("POST", one+"/patch-started", accessAPI, "Tells that the patch is being applied.", h.patchStarted),
		on("POST", one+"/patch-ended", accessAPI, "Tells that patching is over, on the `targets` given or on all; after the last the watch begins.", h.patchEnded),
	}
}

func (h *Handler) baselineRoutes() []route {
	const one = "/api/v1/changes/{id}"
	return []route{
		on("POST", one+"/baseline", accessAPI, "Captures the baseline of every target.", h.slowly(h.captureBaseline)),
		on("GET", one+"/baseline/{target}", accessAPI, "What a target was before the patch.", h.showBaseline),
		on("GET", one+"/delta/{target}", accessAPI, "What the patch changed on a target.", h.showDelta),
		on("POST", one+"/drift", accessAPI, "Compares targets with their baselines, now.", h.slowly(h.drift)),
		on("GET", "/api/v1/drift/{digest}", accessAPI, "A comparison that was stored.", h.showDrift),
		on("GET", "/api/v1/holds", accessAPI, "Lists what keeps patches from coming back; ?all=true also what was released.", h.listHolds),
		on("POST", "/api/v1/holds/release", accessAPI, "Lets the patch come back to a target.", h.slowly(h.releaseHold)),
	}
}

func (h *Handler) rollbackRoutes() []route {
	const one = "/api/v1/rollbacks/{id}"
	return []route{
		on("GET", "/api/v1/rollbacks", accessAPI, "Lists rollbacks; ?change= and ?active=true choose.", h.listRollbacks),
		on("POST", "/api/v1/rollbacks", accessAPI, "Starts a rollback by hand; 201.", h.startRollback),
		on("GET", one, accessAPI, "One rollback as it stands.", h.showRollback),
		on("GET", one+"/log", accessAPI, "Everything that happened to the rollback.", h.rollbackLog),
		on("GET", one+"/events", accessAPI, "The log as a stream of events, until the last.", h.followRollback).streaming(),
		on("GET", one+"/output/{attempt}", accessAPI, "What the attempt has printed, as plain text.", h.stepOutput),
		on("POST", one+"/vote", accessAPI, "Answers the open question.", h.vote),
		on("POST", one+"/act", accessAPI, "Does one verb: hold, release, pause, resume, escalate, abort, resolve.", h.act),
	}
}

func (h *Handler) controlRoutes() []route {
	return []route{
		on("GET", "/api/v1/targets", accessAPI, "Lists the inventory.", h.listTargets),
		on("GET", "/api/v1/monitoring", accessAPI, "Whether monitoring is blind: when the alert that always fires was seen last.", h.showMonitoring),
		on("GET", "/api/v1/runners", accessAPI, "Lists the runners near the targets that were heard of within the last hour.", h.listRunners),
		on("GET", "/api/v1/notices", accessAPI, "Lists undelivered notices: waiting, and given up.", h.listNotices),
		on("POST", "/api/v1/notices/test", accessAPI, "Sends a test notice, now; 204.", h.notifyTest),
		on("GET", "/api/v1/pause", accessAPI, "The pause switch.", h.pauseState),
		on("POST", "/api/v1/pause", accessAPI, "Stops all new effects.", h.pause),
		on("POST", "/api/v1/resume", accessAPI, "Ends the pause.", h.resume),
		on("GET", "/api/v1/backup", accessAPI, "A backup of the store, as a file that ends with its own checksum.", h.backup).streaming(),
		on("POST", "/-/reload", accessAPI, "Reads the files again; 204, or 422 with their problems.", h.reload),
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
		mux.Handle(path, h.serve(route{Route: Route{Path: path}, handle: func(c *call) error {
			c.w.Header().Set("Allow", allow)
			return noTo(http.StatusMethodNotAllowed, "bad_method", "this route takes "+allow)
		}}))
	}
	mux.Handle("/", h.serve(route{Route: Route{Path: "other"}, handle: func(*call) error { return errNoRoute }}))
	return mux
}
