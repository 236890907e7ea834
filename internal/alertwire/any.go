package alertwire

import (
	"bytes"
	"fmt"
	"time"

	"github.com/backout-io/backout"
)

// DecodeAny reads alerts in whatever shape a person has them: a webhook, a list
// of postable alerts, or one of them. now completes alerts without times.
func DecodeAny(body []byte, now time.Time) ([]backout.Alert, error) {
	body = bytes.TrimSpace(body)
	if webhook, err := DecodeWebhook(body); err == nil {
		return webhook.Alerts, nil
	}
	if len(body) > 0 && body[0] == '{' {
		body = append(append([]byte{'['}, body...), ']')
	}
	postable, err := DecodePostable(body, now)
	if err != nil {
		return nil, err
	}
	if len(postable.Invalid) > 0 {
		return nil, fmt.Errorf("%w: %s", backout.ErrInvalid, postable.Invalid[0])
	}
	return postable.Alerts, nil
}
