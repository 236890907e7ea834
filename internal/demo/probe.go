package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// prober is the monitoring of the demo: it asks the shop for its health and posts
// what Alertmanager would post, in the format of its webhook, version 4.
type prober struct {
	health, webhook, token, target string
	every                          time.Duration
	// watchdog is how often the alert that always fires is sent; zero means never.
	watchdog time.Duration
	say      func(format string, args ...any)
	client   *http.Client
}

func (p *prober) run(ctx context.Context) {
	var redSince, barked time.Time
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	for {
		if now := time.Now(); p.watchdog > 0 && now.Sub(barked) >= p.watchdog {
			barked = now
			p.bark(ctx, now)
		}
		err := p.probe(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && redSince.IsZero():
			redSince = time.Now()
			p.say("monitoring   the shop is red: %v", err)
			p.post(ctx, "firing", redSince, time.Time{})
		case err == nil && !redSince.IsZero():
			p.say("monitoring   the shop is green again")
			p.post(ctx, "resolved", redSince, time.Now())
			redSince = time.Time{}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (p *prober) probe(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.health, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(body))
	}
	return nil
}

// bark sends the alert that always fires, once: the next comes soon.
func (p *prober) bark(ctx context.Context, now time.Time) {
	body, err := webhook("firing", map[string]string{"alertname": "Watchdog", "severity": "none"}, "monitoring works", now, time.Time{})
	if err == nil {
		err = p.send(ctx, body)
	}
	if err != nil && ctx.Err() == nil {
		p.say("monitoring   the alert that always fires was not taken: %v", err)
	}
}

// webhook is the body of Alertmanager's webhook with one alert.
func webhook(status string, labels map[string]string, summary string, starts, ends time.Time) ([]byte, error) {
	annotations := map[string]string{"summary": summary}
	alert := map[string]any{
		"status": status, "labels": labels, "annotations": annotations, "startsAt": starts.UTC(), "endsAt": ends.UTC(), "generatorURL": "", "fingerprint": "",
	}
	return json.Marshal(map[string]any{
		"version": "4", "groupKey": fmt.Sprintf("{}:{alertname=%q}", labels["alertname"]), "status": status, "receiver": "backout", "truncatedAlerts": 0,
		"groupLabels": map[string]string{"alertname": labels["alertname"]}, "commonLabels": labels, "commonAnnotations": annotations,
		"externalURL": "http://alertmanager.example:9093", "alerts": []any{alert},
	})
}

// post sends one alert, again and again until it was taken, as Alertmanager does.
func (p *prober) post(ctx context.Context, status string, starts, ends time.Time) {
	labels := map[string]string{"alertname": "ShopDown", "severity": "critical", "instance": p.target + ":80"}
	body, err := webhook(status, labels, "the web shop does not answer", starts, ends)
	if err != nil {
		p.say("monitoring   cannot write the webhook: %v", err)
		return
	}
	for ctx.Err() == nil {
		if err = p.send(ctx, body); err == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(p.every):
		}
	}
}

func (p *prober) send(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook answered %s", resp.Status)
	}
	return nil
}
