package chart_test

import (
	"fmt"
	"html/template"
	"os"
	"strings"
	"time"

	"github.com/backout-io/backout/internal/chart"
)

func at(hour, minute int) time.Time { return time.Date(2026, 3, 14, hour, minute, 0, 0, time.UTC) }

func ExampleBands() {
	p := chart.Bands{
		ID: "alerts", Title: "Alerts of CHG0030001",
		From: at(1, 50), Until: at(3, 0), Now: at(2, 40),
		Window: chart.Stretch{From: at(2, 0), Until: at(3, 0)},
		Marks: []chart.Mark{
			{Kind: chart.MarkPatched, At: at(2, 1)},
			{Kind: chart.MarkLevel, At: at(2, 8), Text: "L1 started"},
			{Kind: chart.MarkRecovered, At: at(2, 25)},
		},
		Rows: []chart.Row{
			{Name: "web-1", Red: []chart.Red{{From: at(2, 3), Until: at(2, 21), Alerts: []string{"HTTPDown"}}}},
			{Name: "web-2"},
		},
	}
	fmt.Println(strings.HasPrefix(string(p.SVG()), "<svg "))
	fmt.Println(strings.Join(p.Words(), "\n"))
	// Output:
	// true
	// Sat 14 Mar 2026 01:50 to 03:00 UTC: 1 of 2 targets was red.
	// The window: 02:00 to 03:00.
	// 02:01: patched.
	// 02:08: L1 started.
	// 02:25: recovered.
	// web-1 was red from 02:03 to 02:21 (18m): HTTPDown.
	// web-2 was quiet.
}

func ExampleDurations() {
	p := chart.Durations{ID: "durations", Rollbacks: []chart.Timed{{
		Name: "CHG0030001", Href: "../changes/CHG0030001", At: at(2, 8),
		Levels: []chart.TimedLevel{
			{Name: "L1", Took: 42 * time.Minute, Limit: 30 * time.Minute, Outcome: "escalated"},
			{Name: "L2", Took: 9 * time.Minute, Limit: 30 * time.Minute, Running: true},
		},
	}}}
	fmt.Println(strings.Join(p.Words(), "\n"))
	// Output:
	// 1 rollback with 2 levels; 1 level took longer than escalate_after.
	// CHG0030001, 14 Mar 2026 02:08 UTC: L1 took 42m, 12m over its 30m (escalated); L2 runs for 9m of 30m.
}

func ExampleCalendar() {
	p := chart.Calendar{
		ID: "calendar", Now: at(1, 0),
		Bars: []chart.Bar{
			{Name: "CHG0030001", Href: "../changes/CHG0030001", Title: "OpenSSL", Opens: at(2, 0), Closes: at(3, 0), Watch: at(5, 0), State: "ready", Tone: chart.ToneGood, Targets: []string{"web-1"}},
			{Name: "CHG0030002", Title: "Kernel", Opens: at(4, 0), Closes: at(6, 0), State: "planned", Tone: chart.ToneWait, Targets: []string{"web-1", "web-2"}},
		},
		Freezes: []chart.Freeze{{Name: "audit", From: at(20, 0), Until: at(23, 0)}},
	}
	fmt.Println(strings.Join(p.Words(), "\n"))
	// Output:
	// Fri 13 Mar 2026 00:00 to Fri 27 Mar 2026 00:00 UTC: 2 changes, 1 freeze.
	// Freeze audit: 14 Mar 20:00 to 23:00.
	// CHG0030001 (OpenSSL), ready: window 14 Mar 02:00 to 03:00, watch until 14 Mar 05:00; overlaps CHG0030002 on web-1, 14 Mar 04:00 to 05:00.
	// CHG0030002 (Kernel), planned: window 14 Mar 04:00 to 06:00; overlaps CHG0030001 on web-1, 14 Mar 04:00 to 05:00.
}

func ExampleReplay() {
	p := chart.Replay{
		ID: "replay", From: at(0, 0), Until: at(12, 0),
		Rules: []chart.RuleLane{{Name: "WebErrors", Would: []chart.Would{
			{At: at(2, 3), Kind: chart.WouldOpen, Judged: chart.Agreed, Text: "CHG0030001 on web-1: HTTPDown"},
			{At: at(7, 0), Kind: chart.WouldRecord, Text: "CHG0030002 on web-2: HTTPDown"},
		}}},
		Did: []chart.Did{{At: at(2, 8), Until: at(2, 25), Text: "CHG0030001 on web-1"}},
	}
	fmt.Println(strings.Join(p.Words(), "\n"))
	// Output:
	// Sat 14 Mar 2026 00:00 to 12:00 UTC: 1 rule, 1 rollback by people.
	// WebErrors: 1 rollback opened, 1 only recorded, 0 stopped; people agreed with 1 and not with 0.
	// CHG0030001 on web-1, really rolled back 02:08 to 02:25 (17m).
}

// A page puts the style into its own, once, and each picture into an element that
// scrolls sideways, with the words below.
func Example() {
	page := template.Must(template.New("page").Parse(`<div class="scroll">{{.SVG}}</div>
<details><summary>In words</summary><ul>{{range .Words}}<li>{{.}}</li>{{end}}</ul></details>
`))
	if err := page.Execute(os.Stdout, chart.Replay{ID: "empty"}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// <div class="scroll"><svg xmlns="http://www.w3.org/2000/svg" class="chart" id="empty" role="img" aria-labelledby="empty-title" aria-describedby="empty-desc" width="800" height="36" viewBox="0 0 800 36">
	// <title id="empty-title">What rules would have done</title>
	// <desc id="empty-desc">There is nothing to draw yet: nothing has happened that rules could have judged.</desc>
	// <text class="c-t c-q" x="0" y="24">There is nothing to draw yet: nothing has happened that rules could have judged.</text>
	// </svg>
	// </div>
	// <details><summary>In words</summary><ul><li>There is nothing to draw yet: nothing has happened that rules could have judged.</li></ul></details>
}
