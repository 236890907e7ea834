package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/handlers"
)

const api = "/api/v1/"

// list is how the API wraps every list.
type list[T any] struct {
	Items []T `json:"items"`
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var out T
	err := c.call(ctx, http.MethodGet, path, query, nil, &out)
	return out, err
}

func getList[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	out, err := get[list[T]](ctx, c, path, query)
	return out.Items, err
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var out T
	err := c.call(ctx, http.MethodPost, path, nil, body, &out)
	return out, err
}

func changePath(id, tail string) string { return api + "changes/" + url.PathEscape(id) + tail }

// PlanChange makes a change; it opens nothing.
func (c *Client) PlanChange(ctx context.Context, spec backout.ChangeSpec) (backout.Change, error) {
	return post[backout.Change](ctx, c, api+"changes", spec)
}

// ListChanges returns the changes the filter chooses.
func (c *Client) ListChanges(ctx context.Context, f handlers.ChangeFilter) ([]backout.Change, error) {
	query := url.Values{}
	if f.State != "" {
		query.Set("state", string(f.State))
	}
	if f.Target != "" {
		query.Set("target", f.Target)
	}
	return getList[backout.Change](ctx, c, api+"changes", query)
}

// Change returns one change as it stands.
func (c *Client) Change(ctx context.Context, id string) (backout.Change, error) {
	return get[backout.Change](ctx, c, changePath(id, ""), nil)
}

// ChangeLog returns everything that happened to the change, oldest first.
func (c *Client) ChangeLog(ctx context.Context, id string) ([]handlers.LogEntry, error) {
	return getList[handlers.LogEntry](ctx, c, changePath(id, "/log"), nil)
}

// CheckGate asks the gate and opens nothing. A gate's no is a result, not an
// error. It may take as long as [handlers.SlowCall].
func (c *Client) CheckGate(ctx context.Context, id string) (handlers.GateResult, error) {
	return postSlowly[handlers.GateResult](ctx, c, changePath(id, "/gate"), struct{}{})
}

// OpenChange opens the window; a gate's no is an [*Error] with its violations. It
// may take as long as [handlers.SlowCall]; the server goes on when ctx ends.
func (c *Client) OpenChange(ctx context.Context, id string) (backout.Change, error) {
	return postSlowly[backout.Change](ctx, c, changePath(id, "/open"), struct{}{})
}

// ExtendChange moves the window's end.
func (c *Client) ExtendChange(ctx context.Context, id string, closes time.Time, reason string) (backout.Change, error) {
	body := struct {
		Closes time.Time `json:"closes"`
		Reason string    `json:"reason,omitempty"`
	}{closes, reason}
	return post[backout.Change](ctx, c, changePath(id, "/extend"), body)
}

type reasonBody struct {
	Reason string `json:"reason,omitempty"`
}

// CloseChange ends the window and the watch.
func (c *Client) CloseChange(ctx context.Context, id, reason string) (backout.Change, error) {
	return post[backout.Change](ctx, c, changePath(id, "/close"), reasonBody{reason})
}

// CancelChange withdraws a change whose window never opened.
func (c *Client) CancelChange(ctx context.Context, id, reason string) (backout.Change, error) {
	return post[backout.Change](ctx, c, changePath(id, "/cancel"), reasonBody{reason})
}

// PatchStarted tells that the patch is being applied.
func (c *Client) PatchStarted(ctx context.Context, id string) (backout.Change, error) {
	return post[backout.Change](ctx, c, changePath(id, "/patch-started"), struct{}{})
}

// PatchEnded tells that patching is over, and how: on the targets given, or on all of
// the change.
func (c *Client) PatchEnded(ctx context.Context, id string, exitCode int, targets ...string) (backout.Change, error) {
	body := struct {
		ExitCode int      `json:"exit_code"`
		Targets  []string `json:"targets,omitempty"`
	}{exitCode, targets}
	return post[backout.Change](ctx, c, changePath(id, "/patch-ended"), body)
}
