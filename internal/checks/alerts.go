package checks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/backout-io/backout"
)

// Alertmanager is one Alertmanager that can be asked.
type Alertmanager struct {
	URL   string
	Token backout.Secret
}

// Alerts asks Alertmanagers what fires now. Of several (a cluster) the first that
// answers counts.
type Alerts struct {
	servers []Alertmanager
	client  *http.Client
}

// NewAlerts returns nil when there is nobody to ask.
func NewAlerts(servers []Alertmanager) *Alerts {
	if len(servers) == 0 {
		return nil
	}
	return &Alerts{servers: servers, client: &http.Client{Timeout: 5 * time.Second}}
}

// alertsMax bounds an answer, in bytes.
const alertsMax = 64 << 20

// Treatment is how Alertmanager treats an alert that fires.
type Treatment struct {
	// Known tells whether it has looked at the alert yet; without that it says
	// nothing.
	Known     bool
	Silenced  bool
	Inhibited bool
}

// Firing returns the fingerprints of all alerts that fire, silenced and inhibited
// ones too: a silence says that nobody wants to hear of it, not that it is over.
func (a *Alerts) Firing(ctx context.Context) (map[string]bool, error) {
	treated, err := a.Treated(ctx)
	if err != nil {
		return nil, err
	}
	firing := make(map[string]bool, len(treated))
	for fingerprint := range treated {
		firing[fingerprint] = true
	}
	return firing, nil
}

// Treated returns how each alert that fires is treated, by fingerprint. The API is
// documented in Alertmanager's OpenAPI file (api/v2/openapi.yaml).
func (a *Alerts) Treated(ctx context.Context) (map[string]Treatment, error) {
	var failed []error
	for _, s := range a.servers {
		treated, err := a.ask(ctx, s)
		if err == nil {
			return treated, nil
		}
		failed = append(failed, fmt.Errorf("ask alertmanager %s: %w", s.URL, err))
	}
	return nil, errors.Join(failed...)
}

func (a *Alerts) ask(ctx context.Context, s Alertmanager) (map[string]Treatment, error) {
	address, err := url.JoinPath(s.URL, "/api/v2/alerts")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?active=true&silenced=true&inhibited=true&unprocessed=true", nil)
	if err != nil {
		return nil, err
	}
	if token := s.Token.Reveal(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", resp.Status)
	}
	var alerts []struct {
		Fingerprint string `json:"fingerprint"`
		Status      struct {
			State       string   `json:"state"`
			SilencedBy  []string `json:"silencedBy"`
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, alertsMax)).Decode(&alerts); err != nil {
		return nil, fmt.Errorf("decode answer: %w", err)
	}
	treated := make(map[string]Treatment, len(alerts))
	for _, alert := range alerts {
		st := alert.Status
		treated[alert.Fingerprint] = Treatment{
			Known:    st.State == "active" || st.State == "suppressed",
			Silenced: len(st.SilencedBy) > 0, Inhibited: len(st.InhibitedBy) > 0,
		}
	}
	return treated, nil
}
