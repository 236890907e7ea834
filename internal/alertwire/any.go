package alertwire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/backout-io/backout"
)

// DecodeAny reads alerts in whatever shape a person has them: a webhook, a list
// of alerts as Alertmanager's API takes or shows them, or one of them, or alerts as
// backout's own API shows them. now completes alerts without times.
func DecodeAny(body []byte, now time.Time) ([]backout.Alert, error) {
	body = bytes.TrimSpace(body)
	if webhook, err := DecodeWebhook(body); err == nil {
		return webhook.Alerts, nil
	}
	switch {
	case len(body) == 0 || body[0] != '{' && body[0] != '[':
		return nil, fmt.Errorf("%w: want JSON: an alert, a list of alerts or a webhook", backout.ErrInvalid)
	case body[0] == '{':
		body = slices.Concat([]byte{'['}, body, []byte{']'})
	}
	postable, err := DecodePostable(withoutStates(body), now)
	if err != nil {
		return nil, err
	}
	if len(postable.Invalid) > 0 {
		return nil, fmt.Errorf("%w: %s", backout.ErrInvalid, postable.Invalid[0])
	}
	for i, own := range ownTimes(body, len(postable.Alerts)) {
		own.take(&postable.Alerts[i])
	}
	return postable.Alerts, nil
}

// withoutStates takes off the alerts of a list what Alertmanager's API shows as their
// status: an object, where a webhook has a word.
func withoutStates(body []byte) []byte {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return body
	}
	shown := false
	for _, a := range list {
		if bytes.HasPrefix(a["status"], []byte("{")) {
			delete(a, "status")
			shown = true
		}
	}
	if !shown {
		return body
	}
	out, err := json.Marshal(list)
	if err != nil {
		return body
	}
	return out
}

// own is what backout's API calls otherwise than Alertmanager does.
type own struct {
	Firing   *bool     `json:"firing"`
	StartsAt time.Time `json:"starts_at"`
	EndsAt   time.Time `json:"ends_at"`
}

// ownTimes are those of the alerts of a list, if there are so many.
func ownTimes(body []byte, n int) []own {
	var list []own
	if err := json.Unmarshal(body, &list); err != nil || len(list) != n {
		return nil
	}
	return list
}

func (o own) take(a *backout.Alert) {
	if o.Firing == nil {
		return
	}
	a.Firing, a.EndsAt = *o.Firing, o.EndsAt
	if !o.StartsAt.IsZero() {
		a.StartsAt = o.StartsAt
	}
}
