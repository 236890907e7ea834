package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

// CaptureBaseline captures every target of a change whose window is shut. It may
// take as long as [handlers.SlowCall]; the server goes on when ctx ends.
func (c *Client) CaptureBaseline(ctx context.Context, id string) (backout.Change, error) {
	return postSlowly[backout.Change](ctx, c, changePath(id, "/baseline"), struct{}{})
}

// Baseline returns what a target was before the patch.
func (c *Client) Baseline(ctx context.Context, id, target string) (backout.Baseline, error) {
	return get[backout.Baseline](ctx, c, changePath(id, "/baseline/"+url.PathEscape(target)), nil)
}

// Delta returns what the patch changed on a target.
func (c *Client) Delta(ctx context.Context, id, target string) (backout.Delta, error) {
	return get[backout.Delta](ctx, c, changePath(id, "/delta/"+url.PathEscape(target)), nil)
}

// Drift compares targets with their baselines now; no target means all of the
// change.
func (c *Client) Drift(ctx context.Context, id string, targets []string) ([]backout.Drift, error) {
	body := struct {
		Targets []string `json:"targets,omitempty"`
	}{targets}
	out, err := postSlowly[list[backout.Drift]](ctx, c, changePath(id, "/drift"), body)
	return out.Items, err
}

// DriftReport returns a comparison that was stored.
func (c *Client) DriftReport(ctx context.Context, digest string) (backout.Drift, error) {
	return get[backout.Drift](ctx, c, api+"drift/"+url.PathEscape(digest), nil)
}

// Holds lists what keeps patches from coming back; all includes what was released.
func (c *Client) Holds(ctx context.Context, all bool) ([]backout.Hold, error) {
	query := url.Values{}
	if all {
		query.Set("all", "true")
	}
	return getList[backout.Hold](ctx, c, api+"holds", query)
}

// ReleaseHold lets the patch come back to a target.
func (c *Client) ReleaseHold(ctx context.Context, id, target, reason string) (backout.Hold, error) {
	body := struct {
		ChangeID string `json:"change_id"`
		Target   string `json:"target"`
		Reason   string `json:"reason"`
	}{id, target, reason}
	return postSlowly[backout.Hold](ctx, c, api+"holds/release", body)
}

// AwaitCapture returns the change once no capture of it is under way: captures end,
// and one that has been going on for longer than its lease has nobody who does it.
// While the server does not answer it goes on asking, every poll.
func (c *Client) AwaitCapture(ctx context.Context, id string, poll time.Duration) (backout.Change, error) {
	for {
		change, err := c.Change(ctx, id)
		if err != nil && !Temporary(err) || err == nil && !c.Capturing(&change) {
			return change, err
		}
		select {
		case <-ctx.Done():
			return change, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

// Capturing tells whether a server is capturing the change's baselines, or opening
// its window.
func (c *Client) Capturing(change *backout.Change) bool {
	return change.Capture != nil && c.ServerTime().Before(change.Capture.BeganAt.Add(backout.BaselineLease))
}

// Lost tells whether the answer was lost: the request may have been carried out, or
// may be under way.
func Lost(err error) bool {
	var connect *ConnectError
	if errors.As(err, &connect) {
		return true
	}
	var answer *Error
	return errors.As(err, &answer) && (answer.Status == http.StatusBadGateway || answer.Status == http.StatusGatewayTimeout)
}

// postSlowly is post for what reaches targets: the server takes the time it needs.
func postSlowly[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var out T
	err := c.callWithin(ctx, max(c.timeout, slowTimeout), wanted{method: http.MethodPost, path: path, body: body}, &out)
	return out, err
}

// slowTimeout lets the server be the one that gives up.
const slowTimeout = handlers.SlowCall + time.Minute
