package handlers

import (
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout/internal/alertwire"
)

// codeRequired is the code in Alertmanager's answer to a body that lacks
// something. Source: go-openapi/errors, RequiredFailCode; seen with 0.25.
const codeRequired = 602

func missingAsAlertmanager(err error) error {
	var wire *alertwire.Error
	if errors.As(err, &wire) && wire.Kind == alertwire.Missing {
		return noTo(http.StatusUnprocessableEntity, "required", err.Error())
	}
	return unreadable(err)
}

func joinLines(lines []string) string {
	const most = 20
	if len(lines) > most {
		lines = append(lines[:most:most], "and "+strconv.Itoa(len(lines)-most)+" more")
	}
	return strings.Join(lines, "\n")
}

// writeAlertmanagerError answers as Alertmanager's API does: a JSON string when
// single alerts are invalid, {"code", "message"} otherwise.
func writeAlertmanagerError(w http.ResponseWriter, _ string, err error) {
	var invalid *invalidAlerts
	if errors.As(err, &invalid) {
		writeJSON(w, http.StatusBadRequest, invalid.text)
		return
	}
	status, body := describe(err)
	code := status
	if body.Code == "required" {
		code = codeRequired
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	writeJSON(w, status, struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, body.Message})
}

type alertmanagerStatus struct {
	Cluster struct {
		Status string   `json:"status"`
		Peers  []string `json:"peers"`
	} `json:"cluster"`
	VersionInfo struct {
		Version   string `json:"version"`
		Revision  string `json:"revision"`
		Branch    string `json:"branch"`
		BuildUser string `json:"buildUser"`
		BuildDate string `json:"buildDate"`
		GoVersion string `json:"goVersion"`
	} `json:"versionInfo"`
	Config struct {
		Original string `json:"original"`
	} `json:"config"`
	Uptime time.Time `json:"uptime"`
}

// alertmanagerStatus answers what amtool and Grafana ask before they send; the
// config is none of theirs.
func (h *Handler) alertmanagerStatus(c *call) error {
	var s alertmanagerStatus
	s.Cluster.Status, s.Cluster.Peers = "disabled", []string{}
	s.VersionInfo.Version, s.VersionInfo.GoVersion = "backout "+h.o.Version, runtime.Version()
	s.Uptime = h.started.UTC()
	writeJSON(c.w, http.StatusOK, s)
	return nil
}
