package slackfake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Click presses a button of a message as a person and returns what was sent to the
// app, so that it can be sent again. It fails when there is no such button, and with
// [ErrNoAnswer] when the app did not acknowledge.
func (w *Workspace) Click(ctx context.Context, user, channel, ts, actionID string) (payload json.RawMessage, err error) {
	w.mu.Lock()
	i := w.find(channel, ts)
	var button *Element
	var block string
	if i >= 0 {
		button, block = w.messages[i].button(actionID)
	}
	w.mu.Unlock()
	if button == nil {
		return nil, fmt.Errorf("message %s has no button %q", ts, actionID)
	}
	return w.ClickValue(ctx, user, channel, ts, actionID, block, button.Value)
}

func (m *Message) button(actionID string) (*Element, string) {
	for _, b := range m.Blocks {
		for i := range b.Elements {
			if b.Type == "actions" && b.Elements[i].ActionID == actionID {
				return &b.Elements[i], b.ID
			}
		}
	}
	return nil, ""
}

// Buttons lists the action ids of a message's buttons.
func (m *Message) Buttons() []string {
	var ids []string
	for _, b := range m.Blocks {
		for _, e := range b.Elements {
			if b.Type == "actions" {
				ids = append(ids, e.ActionID)
			}
		}
	}
	return ids
}

// Value returns what a button of the message carries.
func (m *Message) Value(actionID string) string {
	if b, _ := m.button(actionID); b != nil {
		return b.Value
	}
	return ""
}

// ClickValue presses a button that was there once, such as one on a phone that has
// not loaded the message anew.
func (w *Workspace) ClickValue(ctx context.Context, user, channel, ts, actionID, blockID, value string) (json.RawMessage, error) {
	now := w.now()
	payload := w.about(user, map[string]any{
		"type":      "block_actions",
		"container": map[string]any{"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": false},
		"channel":   map[string]any{"id": channel, "name": "ops"},
		"message":   map[string]any{"type": "message", "ts": ts},
		"actions": []any{map[string]any{
			"type": "button", "action_id": actionID, "block_id": blockID, "value": value,
			"action_ts": fmt.Sprintf("%d.%06d", now.Unix(), now.Nanosecond()/1000),
		}},
	})
	_, err := w.Deliver(ctx, newEnvelope(), payload)
	return payload, err
}

// Submit sends a modal's form as the person who has it before them: values by block
// id. A modal that the app does not answer with something else closes.
func (w *Workspace) Submit(ctx context.Context, v View, values map[string]string) (json.RawMessage, error) {
	state := map[string]any{}
	for _, b := range v.Blocks {
		if b.Type == "input" {
			state[b.ID] = map[string]any{b.Element.ActionID: map[string]any{"type": "plain_text_input", "value": values[b.ID]}}
		}
	}
	payload := w.about(v.User, map[string]any{
		"type": "view_submission",
		"view": map[string]any{
			"id": v.ID, "type": v.Type, "callback_id": v.CallbackID, "private_metadata": v.PrivateMetadata,
			"hash": "1." + v.ID, "state": map[string]any{"values": state},
		},
	})
	answer, err := w.Deliver(ctx, newEnvelope(), payload)
	if err != nil {
		return payload, err
	}
	return payload, w.afterSubmit(v, answer)
}

// afterSubmit does to a modal what the app's answer says.
func (w *Workspace) afterSubmit(v View, answer []byte) error {
	var said struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   json.RawMessage   `json:"view"`
	}
	if len(bytes.TrimSpace(answer)) > 0 {
		if err := json.Unmarshal(answer, &said); err != nil {
			return fmt.Errorf("answer to a submission: %w", err)
		}
	}
	var failed error
	w.locked(func() {
		switch said.Action {
		case "", "clear":
			delete(w.views, v.ID)
		case "update":
			next, problems := readView(said.View)
			if len(problems) > 0 {
				failed = fmt.Errorf("view: %s", strings.Join(problems, "; "))
				return
			}
			next.ID, next.User, next.Opened = v.ID, v.User, time.Now()
			w.views[v.ID] = next
		case "errors":
			failed = fmt.Errorf("errors: %v", said.Errors)
		}
	})
	return failed
}

// about fills in who acts and where, as every interaction has it.
func (w *Workspace) about(user string, payload map[string]any) json.RawMessage {
	trigger := strconv.FormatInt(time.Now().UnixNano(), 10) + "." + user + "." + rand.Text()[:6]
	team := w.o.Team
	name := ""
	w.locked(func() {
		w.triggers[trigger] = time.Now()
		if u, ok := w.users[user]; ok {
			team, name = u.Team, u.Name
		}
	})
	payload["team"] = map[string]any{"id": w.o.Team, "domain": "example"}
	payload["user"] = map[string]any{"id": user, "username": name, "team_id": team}
	payload["api_app_id"], payload["token"], payload["trigger_id"] = "ABACKOUT", "not-to-be-used", trigger
	data, err := json.Marshal(payload)
	if err != nil {
		panic(err) // strings and maps
	}
	return data
}

func userOf(trigger string) string {
	if parts := strings.Split(trigger, "."); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

func newEnvelope() string { return rand.Text() }

// Deliver sends a payload to the app, over HTTP where there is a request URL and over
// one of the connections otherwise, and returns the acknowledgement's content.
func (w *Workspace) Deliver(ctx context.Context, envelope string, payload json.RawMessage) ([]byte, error) {
	w.mu.Lock()
	to := w.o.RequestURL
	w.mu.Unlock()
	if to == "" {
		return w.sockets.deliver(ctx, envelope, payload)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, nil)
	if err != nil {
		return nil, err
	}
	w.Sign(req, url.Values{"payload": {string(payload)}}.Encode(), w.now())
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, errors.Join(ErrNoAnswer, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(ErrNoAnswer, fmt.Errorf("the app answered %d: %s", resp.StatusCode, body))
	}
	return body, err
}

// Sign gives a request its body and the signature of this workspace at a time.
func (w *Workspace) Sign(r *http.Request, body string, at time.Time) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(w.o.SigningSecret))
	_, _ = io.WriteString(mac, "v0:"+stamp+":"+body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}
