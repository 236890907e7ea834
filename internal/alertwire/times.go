package alertwire

import "time"

// parseTime reads RFC 3339 as strictly as encoding/json does. What Alertmanager
// and Prometheus send (UTC, up to nine digits of a second) takes the short way.
func parseTime(s string) (time.Time, bool) {
	if t, ok := parseUTC(s); ok {
		return t, true
	}
	var t time.Time
	if t.UnmarshalText([]byte(s)) != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// parseUTC reads "2006-01-02T15:04:05.999999999Z" and shorter fractions.
func parseUTC(s string) (time.Time, bool) {
	const whole = len("2006-01-02T15:04:05")
	if len(s) <= whole || s[len(s)-1] != 'Z' || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	nanos, ok7 := fraction(s[whole : len(s)-1])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	// Date carries over a day that the month does not have, and the month shows it.
	return t, t.Month() == time.Month(month)
}

func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// fraction reads "" or "." and one to nine digits, as nanoseconds.
func fraction(s string) (nanos int, ok bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != '.' || len(s) < 2 || len(s) > 10 {
		return 0, false
	}
	nanos, ok = digits(s[1:])
	for range 10 - len(s) {
		nanos *= 10
	}
	return nanos, ok
}

// parseLooseTime also reads what Alertmanager's API reads on top of RFC 3339: a
// time without a zone, taken as UTC. Source: go-openapi/strfmt, DateTimeFormats.
func parseLooseTime(s string) (time.Time, bool) {
	if t, ok := parseTime(s); ok {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
