package alertwire

import (
	"fmt"
	"strconv"
	"time"

	"github.com/backout-io/backout"
)

// ResolveTimeout is after what time an alert without an end counts as resolved
// unless it is sent again: Alertmanager's own default.
const ResolveTimeout = 5 * time.Minute

// Postable is the body of POST /api/v2/alerts, read.
type Postable struct {
	Alerts []backout.Alert
	// Invalid says what was wrong with the alerts that are not among Alerts, in
	// Alertmanager's words. The others count all the same, as with Alertmanager.
	Invalid []string
	// Cut is how many values were longer than [MaxValue], or beyond [MaxPairs].
	Cut int
}

// DecodePostable reads an array of alerts as Alertmanager's API takes it, at the
// time now, which fills in what is missing: without a start the alert starts at
// its end, or now; without an end it ends [ResolveTimeout] from now; an alert
// whose end is not after now is resolved.
//
// It takes more than Alertmanager does in two ways: an empty time counts as
// none, and a generatorURL may be any text, since nobody follows it.
func DecodePostable(body []byte, now time.Time) (Postable, error) {
	d := newDecoder(body)
	out, err := d.postable(now.UTC())
	if err != nil {
		return Postable{}, err
	}
	out.Cut = d.cut
	return out, nil
}

func (d *decoder) postable(now time.Time) (out Postable, err *Error) {
	if d.peek(); d.pos == len(d.data) {
		return out, d.fail(Missing, "an array of alerts is required")
	}
	if null, err := d.null(); err != nil {
		return out, err
	} else if null {
		return out, d.end()
	}
	err = d.array(func(i int) *Error {
		if i == MaxAlerts {
			return d.fail(TooMany, "more than "+strconv.Itoa(MaxAlerts)+" alerts")
		}
		if err := d.alert(); err != nil {
			return err.underIndex(i)
		}
		if !d.raw.labelsSet {
			return d.missing("labels", "required").underIndex(i)
		}
		alert, invalid, err := d.postableAlert(now)
		switch {
		case err != nil:
			return err.underIndex(i)
		case invalid != "":
			out.Invalid = append(out.Invalid, invalid)
		default:
			out.Alerts = append(out.Alerts, alert)
		}
		return nil
	})
	if err == nil {
		err = d.end()
	}
	return out, err
}

// postableAlert returns the alert, or what is invalid about it, or why the whole
// body cannot be read.
func (d *decoder) postableAlert(now time.Time) (alert backout.Alert, invalid string, err *Error) {
	alert, from := d.build()
	if alert.StartsAt, err = looseTime(d.raw.startsAt, from, "startsAt"); err != nil {
		return alert, "", err
	}
	if alert.EndsAt, err = looseTime(d.raw.endsAt, from, "endsAt"); err != nil {
		return alert, "", err
	}
	if alert.StartsAt.IsZero() {
		alert.StartsAt = now
		if !alert.EndsAt.IsZero() {
			alert.StartsAt = alert.EndsAt
		}
	}
	if alert.EndsAt.IsZero() {
		alert.EndsAt = now.Add(ResolveTimeout)
	}
	alert.Firing = alert.EndsAt.After(now)
	return alert, check(&alert), nil
}

func looseTime(f field, from source, name string) (time.Time, *Error) {
	if !f.set || f.start == f.end {
		return time.Time{}, nil
	}
	t, ok := parseLooseTime(from.value(f.span))
	if !ok {
		return t, notATime(f).under(name)
	}
	return t, nil
}

// check is Alertmanager's own validation, with its words. Source:
// prometheus/common, model.Alert.Validate; names may be any UTF-8 since 0.27.
func check(a *backout.Alert) string {
	if a.EndsAt.Before(a.StartsAt) {
		return "start time must be before end time"
	}
	if _, ok := a.Labels[""]; ok {
		return fmt.Sprintf("invalid label set: invalid name %q", "")
	}
	if len(a.Labels) == 0 {
		return "at least one label pair required"
	}
	if _, ok := a.Annotations[""]; ok {
		return fmt.Sprintf("invalid annotations: invalid name %q", "")
	}
	return ""
}
