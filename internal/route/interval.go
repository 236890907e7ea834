package route

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// Spell is when an interval is, as the config has it: every part that is given must
// hold. The forms are those of Alertmanager's time intervals; ranges may besides go
// over midnight, over the end of the week and over the end of the year.
type Spell struct {
	// Times are times of a day; a range over midnight belongs to the day on which
	// it begins.
	Times []Clock
	// Weekdays are names or ranges of them ("monday:friday"), DaysOfMonth numbers or
	// ranges of them, negative ones from the month's end ("-3:-1"); Months are names
	// or numbers, Years numbers.
	Weekdays, DaysOfMonth, Months, Years []string
	// Location is a time zone ("Europe/Berlin"); empty means UTC.
	Location string
}

// Clock is a range of times of a day, "22:00" to "06:00", without its end.
type Clock struct{ Start, End string }

// FieldError says which part of a spell is wrong.
type FieldError struct {
	// Key is the part's key; Index its place in a list, -1 when it is none.
	Key   string
	Index int
	Err   error
}

// Error implements error.
func (e *FieldError) Error() string {
	if e.Index < 0 {
		return e.Key + ": " + e.Err.Error()
	}
	return fmt.Sprintf("%s[%d]: %v", e.Key, e.Index, e.Err)
}

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Interval is a named time interval: one spell of several.
type Interval struct{ spells []spell }

// spell is a [Spell] in Alertmanager's own form.
type spell struct {
	// day holds what is said of days, today the times of the day itself, yesterday
	// those that belong to the day before.
	day, today, yesterday timeinterval.TimeInterval
	location              *time.Location
	anyTime               bool
}

// NewInterval refuses what can never be; the error is a [FieldError] where it can be.
func NewInterval(spells ...Spell) (Interval, error) {
	var out Interval
	for _, s := range spells {
		compiled, err := s.compile()
		if err != nil {
			return Interval{}, err
		}
		out.spells = append(out.spells, compiled)
	}
	return out, nil
}

// Contains tells whether the interval is on at the time.
func (i Interval) Contains(at time.Time) bool {
	for _, s := range i.spells {
		if s.contains(at) {
			return true
		}
	}
	return false
}

func (s spell) contains(at time.Time) bool {
	at = at.In(s.location)
	if s.anyTime {
		return s.day.ContainsTime(at)
	}
	if s.today.Times != nil && s.today.ContainsTime(at) && s.day.ContainsTime(at) {
		return true
	}
	before := time.Date(at.Year(), at.Month(), at.Day()-1, 12, 0, 0, 0, s.location)
	return s.yesterday.Times != nil && s.yesterday.ContainsTime(at) && s.day.ContainsTime(before)
}

func (s Spell) compile() (spell, error) {
	out := spell{location: time.UTC, anyTime: len(s.Times) == 0}
	if s.Location != "" {
		if strings.EqualFold(s.Location, "local") {
			return spell{}, &FieldError{"location", -1, errors.New("the zone Local is another on every server: name one, such as Europe/Berlin")}
		}
		var zone timeinterval.Location
		if err := zone.UnmarshalYAML(text(s.Location)); err != nil {
			return spell{}, &FieldError{"location", -1, fmt.Errorf("%q is no time zone: want a name such as Europe/Berlin or UTC", s.Location)}
		}
		out.location = zone.Location
	}
	for i, c := range s.Times {
		if err := out.clock(c); err != nil {
			return spell{}, &FieldError{"times", i, err}
		}
	}
	for i, words := range s.Weekdays {
		if err := ranges(words, &out.day.Weekdays, 0, 6, weekday); err != nil {
			return spell{}, &FieldError{"weekdays", i, err}
		}
	}
	for i, words := range s.DaysOfMonth {
		var r timeinterval.DayOfMonthRange
		if err := r.UnmarshalYAML(text(words)); err != nil {
			return spell{}, &FieldError{"days_of_month", i, fmt.Errorf("%w: want days such as 1, 10:20 or -3:-1", err)}
		}
		out.day.DaysOfMonth = append(out.day.DaysOfMonth, r)
	}
	for i, words := range s.Months {
		if err := ranges(words, &out.day.Months, 1, 12, month); err != nil {
			return spell{}, &FieldError{"months", i, err}
		}
	}
	for i, words := range s.Years {
		var r timeinterval.YearRange
		if err := r.UnmarshalYAML(text(words)); err != nil {
			return spell{}, &FieldError{"years", i, fmt.Errorf("%w: want years such as 2026 or 2026:2028", err)}
		}
		out.day.Years = append(out.day.Years, r)
	}
	return out, nil
}

// text hands a text to Alertmanager's decoders.
func text(s string) func(any) error {
	return func(into any) error {
		*into.(*string) = s //nolint:forcetypeassert // its decoders of single values ask for nothing else
		return nil
	}
}

const midnight = 24 * 60

// clock adds a range of times, in two parts when it goes over midnight.
func (s *spell) clock(c Clock) error {
	if c.Start == "" || c.End == "" {
		return errors.New("start_time and end_time belong together: give both, such as 22:00 and 06:00")
	}
	start, err := minute(c.Start)
	if err != nil {
		return err
	}
	end, err := minute(c.End)
	if err != nil {
		return err
	}
	switch {
	case start == end || start == midnight:
		return fmt.Errorf("from %s to %s is no time at all: give a later end, and no times for whole days", c.Start, c.End)
	case end == 0:
		end = midnight
		fallthrough
	case start < end:
		s.today.Times = append(s.today.Times, timeinterval.TimeRange{StartMinute: start, EndMinute: end})
	default:
		s.today.Times = append(s.today.Times, timeinterval.TimeRange{StartMinute: start, EndMinute: midnight})
		s.yesterday.Times = append(s.yesterday.Times, timeinterval.TimeRange{StartMinute: 0, EndMinute: end})
	}
	return nil
}

// minute reads a time of the day by Alertmanager's own rules.
func minute(clock string) (int, error) {
	var r timeinterval.TimeRange
	if clock == "00:00" {
		return 0, nil
	}
	if err := r.UnmarshalJSON(fmt.Appendf(nil, `{"start_time": "00:00", "end_time": %q}`, clock)); err != nil {
		return 0, fmt.Errorf("%q is no time of a day: want 00:00 to 24:00, such as 09:30", clock)
	}
	return r.EndMinute, nil
}

// ranges adds a range of named days or months, in two parts when it goes over the
// end.
func ranges[R any](words string, to *[]R, first, last int, one func(word string) (int, func(begin, end int) R, error)) error {
	from, until, isRange := strings.Cut(words, ":")
	begin, build, err := one(from)
	if err != nil {
		return err
	}
	end := begin
	if isRange {
		if end, _, err = one(until); err != nil {
			return err
		}
	}
	if begin <= end {
		*to = append(*to, build(begin, end))
		return nil
	}
	*to = append(*to, build(begin, last), build(first, end))
	return nil
}

func weekday(word string) (int, func(int, int) timeinterval.WeekdayRange, error) {
	var r timeinterval.WeekdayRange
	if err := r.UnmarshalYAML(text(word)); err != nil {
		return 0, nil, fmt.Errorf("%q is no weekday: want names such as monday, or monday:friday", word)
	}
	return r.Begin, func(begin, end int) timeinterval.WeekdayRange {
		return timeinterval.WeekdayRange{InclusiveRange: timeinterval.InclusiveRange{Begin: begin, End: end}}
	}, nil
}

func month(word string) (int, func(int, int) timeinterval.MonthRange, error) {
	var r timeinterval.MonthRange
	if err := r.UnmarshalYAML(text(word)); err != nil || r.Begin < 1 || r.Begin > 12 {
		return 0, nil, fmt.Errorf("%q is no month: want names such as december, or 11:2", word)
	}
	return r.Begin, func(begin, end int) timeinterval.MonthRange {
		return timeinterval.MonthRange{InclusiveRange: timeinterval.InclusiveRange{Begin: begin, End: end}}
	}, nil
}
