package notifier

import (
	"maps"
	"strconv"
	"strings"
	"text/template"
	"time"

	amtemplate "github.com/prometheus/alertmanager/template"

	"github.com/backout-io/backout"
)

// fromAlertmanager are the functions of Alertmanager's templates that do what
// they do there. safeHtml and safeUrl, which would let a value out of its
// escaping, routeLabels, which has no meaning here, and what reads the clock or
// decodes are left out.
var fromAlertmanager = [...]string{
	"toUpper", "toLower", "title", "trimSpace", "join", "match", "reReplaceAll", "stringSlice", "date", "tz",
	"humanizeDuration", "toJson", "list", "append", "dict",
}

// Functions names every function that templates may call, sorted by its origin:
// Alertmanager's first, then backout's own.
func Functions() []string {
	return append(fromAlertmanager[:len(fromAlertmanager):len(fromAlertmanager)], "when", "utc", "clock", "between", "few", "link")
}

// functions returns what templates may call, for one style.
func functions(s Style) template.FuncMap {
	all := maps.Clone(template.FuncMap(amtemplate.DefaultFuncs))
	funcs := template.FuncMap{}
	for _, name := range fromAlertmanager {
		funcs[name] = all[name]
	}
	funcs["utc"] = utc
	funcs["when"] = s.Time
	if s.Time == nil {
		funcs["when"] = utc
	}
	funcs["link"] = s.Link
	if s.Link == nil {
		funcs["link"] = func(url string) string { return url }
	}
	funcs["clock"] = clock
	funcs["between"] = between
	funcs["few"] = few
	return funcs
}

// utc writes a time for people, with its zone; the day too, since a notice may
// be read later.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// clock writes a time shortly, for subjects: without its day when it is within
// twelve hours of another time.
func clock(from, to time.Time) string {
	if d := to.Sub(from).Abs(); !from.IsZero() && d < 12*time.Hour {
		return to.UTC().Format("15:04 UTC")
	}
	return utc(to)
}

// between writes how long it is from one time to another, to the second below
// a minute and to the minute above ten; empty when it is not in the future.
func between(from, to time.Time) string {
	d := to.Sub(from)
	switch {
	case from.IsZero() || to.IsZero() || d <= 0:
		return ""
	case d > 10*time.Minute:
		d = d.Round(time.Minute)
	default:
		d = max(d.Round(time.Second), time.Second)
	}
	return backout.Duration(d).String()
}

// few joins at most n values and says how many more there are.
func few(n int, values []string) string {
	if len(values) <= n {
		return strings.Join(values, ", ")
	}
	return strings.Join(values[:n], ", ") + " and " + strconv.Itoa(len(values)-n) + " more"
}
