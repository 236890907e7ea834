package alertwire

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestPostableFillsInWhatIsMissingAsAlertmanagerDoes(t *testing.T) {
	ago, later := now.Add(-time.Hour), now.Add(time.Hour)
	text := func(at time.Time) string { return `"` + at.Format(time.RFC3339) + `"` }
	for _, tc := range []struct {
		name, fields string
		starts, ends time.Time
		firing       bool
	}{
		{"nothing", ``, now, now.Add(5 * time.Minute), true},
		{"start only", `,"startsAt":` + text(ago), ago, now.Add(5 * time.Minute), true},
		{"end only, past", `,"endsAt":` + text(ago), ago, ago, false},
		{"end only, to come", `,"endsAt":` + text(later), later, later, true},
		{"both", `,"startsAt":` + text(ago) + `,"endsAt":` + text(later), ago, later, true},
		{"ends now", `,"endsAt":` + text(now), now, now, false},
		{"zero times", `,"startsAt":"0001-01-01T00:00:00.000Z","endsAt":"0001-01-01T00:00:00Z"`, now, now.Add(5 * time.Minute), true},
		{"empty times", `,"startsAt":"","endsAt":""`, now, now.Add(5 * time.Minute), true},
		{"null times", `,"startsAt":null,"endsAt":null`, now, now.Add(5 * time.Minute), true},
		{"another zone", `,"startsAt":"2026-11-23T12:00:00+01:00"`, ago, now.Add(5 * time.Minute), true},
		{"no zone", `,"startsAt":"2026-11-23T11:00:00"`, ago, now.Add(5 * time.Minute), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := DecodePostable([]byte(`[{"labels":{"alertname":"a"}`+tc.fields+`}]`), now)
			if err != nil || len(got.Alerts) != 1 {
				t.Fatalf("%v, %+v", err, got)
			}
			a := got.Alerts[0]
			if !a.StartsAt.Equal(tc.starts) || !a.EndsAt.Equal(tc.ends) || a.Firing != tc.firing {
				t.Errorf("starts %v ends %v firing %v; want %v %v %v", a.StartsAt, a.EndsAt, a.Firing, tc.starts, tc.ends, tc.firing)
			}
		})
	}
}

func TestPostableTakesTheValidAndNamesTheInvalid(t *testing.T) {
	got, err := DecodePostable([]byte(`[{"labels":{"alertname":"good","empty":""},"annotations":{"kept":""},"generatorURL":"::","extra":[1]},
		{"labels":{}},{"labels":{"a":""}},{"labels":{"":"b"}},{"labels":{"a":"b"},"annotations":{"":"c"}},
		{"labels":{"a":"b"},"startsAt":"2026-11-23T12:00:00Z","endsAt":"2026-11-23T11:00:00Z"}]`), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"at least one label pair required", "at least one label pair required", `invalid label set: invalid name ""`,
		`invalid annotations: invalid name ""`, "start time must be before end time",
	}
	if diff := cmp.Diff(want, got.Invalid); diff != "" {
		t.Error(diff)
	}
	if len(got.Alerts) != 1 || !cmp.Equal(got.Alerts[0].Labels, map[string]string{"alertname": "good"}) ||
		!cmp.Equal(got.Alerts[0].Annotations, map[string]string{"kept": ""}) || got.Alerts[0].GeneratorURL != "::" {
		t.Errorf("alerts %+v", got.Alerts)
	}
}

func TestPostableRefusesWhatIsNotAnArrayOfAlerts(t *testing.T) {
	for body, want := range map[string]struct {
		kind Kind
		text string
	}{
		``:                                      {Missing, "an array of alerts is required (at byte 0)"},
		`{}`:                                    {Shape, "must be an array (at byte 0)"},
		`[{}]`:                                  {Missing, "[0].labels: required (at byte 1)"},
		`[{"labels":null}]`:                     {Missing, "[0].labels: required (at byte 1)"},
		`[null]`:                                {Shape, "[0]: must be an object (at byte 1)"},
		`[{"labels":{"a":1}}]`:                  {Shape, `[0].labels."a": must be a string (at byte 16)`},
		`[{"labels":{"a":"b"}`:                  {Syntax, "the body ends where ',' or '}' should be (at byte 20)"},
		`[{"labels":{"a":"b"}}`:                 {Syntax, "the body ends where ',' or ']' should be (at byte 21)"},
		`[] x`:                                  {Syntax, "'x' where the end of the body should be (at byte 3)"},
		`[{"labels":{"a":"b"},"startsAt":"x"}]`: {Shape, "[0].startsAt: not a time: want one as in 2006-01-02T15:04:05Z (at byte 32)"},
		`[{"labels":{"a":"b"},"startsAt":1}]`:   {Shape, "[0].startsAt: must be a string (at byte 32)"},
		`[{"labels":{"a":"b"},"generatorURL":true}]`: {Shape, "[0].generatorURL: must be a string (at byte 36)"},
	} {
		_, err := DecodePostable([]byte(body), now)
		var e *Error
		if !errors.As(err, &e) || e.Kind != want.kind {
			t.Errorf("%s: %v, want kind %v", body, err, want.kind)
			continue
		}
		if want.kind != Syntax && err.Error() != want.text || want.kind == Syntax && e.What+" (at byte "+itoa(e.Offset)+")" != want.text {
			t.Errorf("%s:\n got %s\nwant %s", body, err, want.text)
		}
	}
	for _, body := range []string{`[]`, `null`, " [ ] \n"} {
		if got, err := DecodePostable([]byte(body), now); err != nil || len(got.Alerts) != 0 {
			t.Errorf("%q: %v, %+v", body, err, got)
		}
	}
}
