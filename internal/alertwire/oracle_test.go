package alertwire

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/backout-io/backout"
)

// The oracle reads webhooks with encoding/json and nothing of this package.

var errOracle = errors.New("refused")

func oracleWebhook(body []byte) (Webhook, error) {
	top, err := oracleObject(body)
	if err != nil {
		return Webhook{}, err
	}
	var version *string
	var truncated *uint32
	var elements []json.RawMessage
	if oracleField(top, "version", &version) != nil || oracleField(top, "truncatedAlerts", &truncated) != nil ||
		oracleField(top, "alerts", &elements) != nil || version == nil || *version != "4" || top["alerts"] == nil {
		return Webhook{}, errOracle
	}
	hook := Webhook{}
	if truncated != nil {
		if *truncated > 1<<31-1 {
			return Webhook{}, errOracle
		}
		hook.Truncated = int(*truncated)
	}
	for _, e := range elements {
		a, err := oracleAlert(e)
		if err != nil {
			return Webhook{}, err
		}
		hook.Alerts = append(hook.Alerts, a)
	}
	return hook, nil
}

func oracleObject(data []byte) (map[string]json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errOracle
	}
	return m, nil
}

func oracleField(m map[string]json.RawMessage, key string, into any) error {
	if m[key] == nil {
		return nil
	}
	return json.Unmarshal(m[key], into)
}

func oracleAlert(data []byte) (a backout.Alert, err error) {
	m, err := oracleObject(data)
	if err != nil {
		return a, err
	}
	var status, generator, startsAt, endsAt *string
	err = errors.Join(oracleField(m, "status", &status), oracleField(m, "generatorURL", &generator),
		oracleField(m, "startsAt", &startsAt), oracleField(m, "endsAt", &endsAt),
		oracleField(m, "labels", &a.Labels), oracleField(m, "annotations", &a.Annotations))
	if err != nil {
		return a, err
	}
	maps.DeleteFunc(a.Labels, func(_, v string) bool { return v == "" })
	if _, unnamed := a.Labels[""]; unnamed || len(a.Labels) == 0 || status == nil || *status != "firing" && *status != "resolved" {
		return a, errOracle
	}
	if len(a.Annotations) == 0 {
		a.Annotations = nil
	}
	a.Firing = *status == "firing"
	if generator != nil {
		a.GeneratorURL = *generator
	}
	for _, t := range []struct {
		text *string
		into *time.Time
	}{{startsAt, &a.StartsAt}, {endsAt, &a.EndsAt}} {
		if t.text == nil {
			continue
		}
		if err := t.into.UnmarshalText([]byte(*t.text)); err != nil {
			return a, err
		}
		*t.into = t.into.UTC()
	}
	if a.StartsAt.IsZero() {
		return a, errOracle
	}
	set := model.LabelSet{}
	for k, v := range a.Labels {
		set[model.LabelName(k)] = model.LabelValue(v)
	}
	a.Fingerprint = set.Fingerprint().String()
	return a, nil
}

// beyondLimits tells whether the body is one where this package has limits and
// the oracle has none.
func beyondLimits(body []byte, hook Webhook) bool {
	depth, deepest := 0, 0
	for _, c := range body {
		switch c {
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	long := func(m map[string]string) bool {
		return len(m) > MaxPairs/2 || slices.ContainsFunc(slices.Collect(maps.Values(m)), func(v string) bool { return len(v) > MaxValue }) ||
			slices.ContainsFunc(slices.Collect(maps.Keys(m)), func(v string) bool { return len(v) > MaxValue })
	}
	return deepest >= maxDepth || len(hook.Alerts) > MaxAlerts || strings.Count(string(body), ":") > MaxPairs ||
		slices.ContainsFunc(hook.Alerts, func(a backout.Alert) bool {
			return long(a.Labels) || long(a.Annotations) || len(a.GeneratorURL) > MaxValue
		})
}
