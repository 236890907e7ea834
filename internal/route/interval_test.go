package route

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func mustInterval(t *testing.T, spells ...Spell) Interval {
	t.Helper()
	i, err := NewInterval(spells...)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func at(t *testing.T, zone, clock string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	v, err := time.ParseInLocation("2006-01-02 15:04", clock, loc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestIntervals(t *testing.T) {
	nights := Spell{Times: []Clock{{"22:00", "06:00"}}}
	friday := Spell{Times: []Clock{{"22:00", "06:00"}}, Weekdays: []string{"friday"}}
	for name, tc := range map[string]struct {
		spells  []Spell
		zone    string
		in, out []string
	}{
		"overnight": {spells: []Spell{nights}, in: []string{"2026-03-13 22:00", "2026-03-13 23:59", "2026-03-14 00:00", "2026-03-14 05:59"}, out: []string{"2026-03-13 21:59", "2026-03-14 06:00", "2026-03-14 12:00"}},
		// 2026-03-13 is a Friday.
		"a night belongs to the day it begins on": {spells: []Spell{friday}, in: []string{"2026-03-13 22:00", "2026-03-14 05:59"}, out: []string{"2026-03-13 05:00", "2026-03-14 22:00", "2026-03-15 01:00"}},
		"the year's last night":                   {spells: []Spell{{Times: []Clock{{"22:00", "06:00"}}, Months: []string{"december"}, DaysOfMonth: []string{"31"}, Years: []string{"2026"}}}, in: []string{"2026-12-31 23:00", "2027-01-01 05:00"}, out: []string{"2026-12-31 05:00", "2027-12-31 23:00"}},
		"office":                                  {spells: []Spell{{Times: []Clock{{"09:00", "17:00"}}, Weekdays: []string{"monday:friday"}}}, in: []string{"2026-03-13 09:00", "2026-03-13 16:59"}, out: []string{"2026-03-13 17:00", "2026-03-14 10:00"}},
		"until midnight":                          {spells: []Spell{{Times: []Clock{{"18:00", "00:00"}}}}, in: []string{"2026-03-13 18:00", "2026-03-13 23:59"}, out: []string{"2026-03-14 00:00"}},
		"until 24:00":                             {spells: []Spell{{Times: []Clock{{"18:00", "24:00"}}}}, in: []string{"2026-03-13 23:59"}, out: []string{"2026-03-14 00:00"}},
		"from midnight":                           {spells: []Spell{{Times: []Clock{{"00:00", "06:00"}}}}, in: []string{"2026-03-13 00:00"}, out: []string{"2026-03-13 06:00"}},
		"over the week's end":                     {spells: []Spell{{Weekdays: []string{"saturday:monday"}}}, in: []string{"2026-03-14 00:00", "2026-03-15 12:00", "2026-03-16 23:59"}, out: []string{"2026-03-13 23:59", "2026-03-17 00:00"}},
		"over the year's end":                     {spells: []Spell{{Months: []string{"11:february"}}}, in: []string{"2026-11-01 00:00", "2027-02-28 23:59"}, out: []string{"2026-10-31 23:59", "2027-03-01 00:00"}},
		"the month's last days":                   {spells: []Spell{{DaysOfMonth: []string{"-2:-1"}}}, in: []string{"2026-02-27 00:00", "2026-02-28 12:00"}, out: []string{"2026-02-26 23:59"}},
		"a zone":                                  {spells: []Spell{{Times: []Clock{{"22:00", "06:00"}}, Location: "Europe/Berlin"}}, zone: "Europe/Berlin", in: []string{"2026-07-01 22:00", "2026-12-01 22:00", "2026-07-02 05:59"}, out: []string{"2026-07-01 21:59", "2026-07-02 06:00"}},
		"nothing said is always":                  {spells: []Spell{{}}, in: []string{"2026-07-01 22:00"}},
		"no spell is never":                       {out: []string{"2026-07-01 22:00"}},
		"one of several":                          {spells: []Spell{nights, {Weekdays: []string{"sunday"}}}, in: []string{"2026-03-15 12:00", "2026-03-14 23:00"}, out: []string{"2026-03-14 12:00"}},
	} {
		if tc.zone == "" {
			tc.zone = "UTC"
		}
		i := mustInterval(t, tc.spells...)
		for _, clock := range tc.in {
			if !i.Contains(at(t, tc.zone, clock)) {
				t.Errorf("%s: %s is not in it", name, clock)
			}
		}
		for _, clock := range tc.out {
			if i.Contains(at(t, tc.zone, clock)) {
				t.Errorf("%s: %s is in it", name, clock)
			}
		}
	}
}

func TestIntervalThatCannotBe(t *testing.T) {
	for _, tc := range []struct {
		spell Spell
		key   string
		index int
		part  string
	}{
		{Spell{Times: []Clock{{"09:00", "17:00"}, {"9:00", "17:00"}}}, "times", 1, `"9:00" is no time of a day: want 00:00 to 24:00`},
		{Spell{Times: []Clock{{"09:00", ""}}}, "times", 0, "start_time and end_time belong together"},
		{Spell{Times: []Clock{{"09:00", "09:00"}}}, "times", 0, "no time at all"},
		{Spell{Times: []Clock{{"24:00", "06:00"}}}, "times", 0, "no time at all"},
		{Spell{Times: []Clock{{"00:00", "00:00"}}}, "times", 0, "no time at all"},
		{Spell{Times: []Clock{{`", x: "`, "06:00"}}}, "times", 0, "is no time of a day"},
		{Spell{Weekdays: []string{"monday", "freitag"}}, "weekdays", 1, `"freitag" is no weekday`},
		{Spell{Weekdays: []string{"monday:"}}, "weekdays", 0, `"" is no weekday`},
		{Spell{Months: []string{"13"}}, "months", 0, `"13" is no month`},
		{Spell{DaysOfMonth: []string{"32"}}, "days_of_month", 0, "out of range"},
		{Spell{Years: []string{"2028:2026"}}, "years", 0, "want years such as"},
		{Spell{Location: "Mars/Base"}, "location", -1, `"Mars/Base" is no time zone`},
		{Spell{Location: "Local"}, "location", -1, "is another on every server"},
	} {
		_, err := NewInterval(tc.spell)
		var field *FieldError
		if !errors.As(err, &field) || field.Key != tc.key || field.Index != tc.index || !strings.Contains(err.Error(), tc.part) {
			t.Errorf("%+v: error %v", tc.spell, err)
		}
	}
}
