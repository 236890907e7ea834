package chart

import (
	"fmt"
	"html/template"
	"time"
)

// picture is what every kind of picture is.
type picture interface {
	SVG() template.HTML
	Words() []string
}

// night is a time in the night of the story.
func night(hour, minute int) time.Time { return time.Date(2026, 3, 14, hour, minute, 0, 0, time.UTC) }

// march is a time in its month.
func march(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }

// scenes are pictures of all kinds, as pages have them.
func scenes() map[string]picture {
	return map[string]picture{
		"bands": story(), "bands-demo": demo(), "bands-empty": Bands{ID: "bands"}, "bands-quiet": Bands{ID: "quiet", Title: "Alerts", From: night(0, 0), Until: night(12, 0), Rows: []Row{{Name: "web-1"}}},
		"durations": durations(), "durations-one": Durations{ID: "one", Rollbacks: []Timed{{Name: "CHG0030001", Levels: []TimedLevel{{Name: "L1", Took: 40 * time.Second}}}}},
		"calendar": calendar(), "calendar-packed": packed(120), "calendar-full": Calendar{ID: "full", From: march(1, 0), Until: march(15, 0), Bars: []Bar{{Name: "CHG0030001", Opens: march(1, 0), Closes: march(14, 22), State: "open"}}},
		"replay": replayed(), "replay-empty": Replay{ID: "replay", Rules: []RuleLane{{Name: "WebErrors"}}},
	}
}

// story is a change that goes wrong and comes back by its second level.
func story() Bands {
	return Bands{
		ID: "bands", Title: "Alerts of CHG0030001", From: night(1, 45), Until: night(4, 0), Now: night(3, 20),
		Window: Stretch{night(2, 0), night(3, 0)}, Watch: Stretch{night(2, 11), night(3, 50)}, Blind: []Stretch{{night(2, 40), night(2, 45)}},
		Marks: []Mark{
			{Kind: MarkOpened, At: night(2, 0)},
			{Kind: MarkPatchStarted, At: night(2, 1)},
			{Kind: MarkPatched, At: night(2, 11)},
			{MarkLevel, night(2, 16), "L1 started"},
			{Kind: MarkAsked, At: night(2, 41)},
			{MarkLevel, night(2, 46), "L2 started"},
			{Kind: MarkClosed, At: night(3, 0)},
			{Kind: MarkRecovered, At: night(3, 5)},
			{Kind: MarkWatchEnds, At: night(3, 50)},
		},
		Rows: []Row{
			{"web-1.prod.example", []Red{{night(2, 13), night(2, 50), []string{"HTTPDown"}}, {night(2, 20), night(2, 55), []string{"DiskFull", "HTTPDown"}}}},
			{"web-2.prod.example", []Red{{night(2, 14), night(3, 4), []string{"HTTPDown"}}}},
			{"db-with-a-very-long-name-0001.eu-central-1.prod.example", []Red{{From: night(3, 10), Alerts: []string{"ReplicationLag"}}}},
			{Name: "web-3.prod.example"},
			{"web-4.prod.example", []Red{{night(2, 30), night(2, 30).Add(10 * time.Second), []string{"Blip"}}}},
			{Name: "web-5.prod.example"},
		},
	}
}

// demo is a minute, in which everything happens.
func demo() Bands {
	at := func(second int) time.Time { return night(2, 0).Add(time.Duration(second) * time.Second) }
	return Bands{
		ID: "demo", Now: at(61), Window: Stretch{at(0), at(600)},
		Marks: []Mark{
			{Kind: MarkOpened, At: at(0)},
			{Kind: MarkPatchStarted, At: at(1)},
			{Kind: MarkPatched, At: at(9)},
			{MarkLevel, at(20), "L1 started"},
			{MarkLevel, at(38), "L2 started"},
			{Kind: MarkHeld, At: at(40)},
			{Kind: MarkAborted, At: at(41)},
			{Kind: MarkExhausted, At: at(57)},
			{MarkOther, at(60), "drift: healthy but drifted"},
		},
		From: at(0), Until: at(75),
		Rows: []Row{{"web-1", []Red{{at(12), at(55), []string{"WebErrors"}}}}, {"web-2", []Red{{From: at(13), Alerts: []string{"WebErrors"}}}}, {Name: "web-3"}},
	}
}

// longBands has more rows, marks and alerts than can be told apart.
func longBands() Bands {
	b := Bands{ID: "long", Title: "Alerts of CHG0030002", From: march(13, 20), Until: march(15, 4), Window: Stretch{march(13, 22), march(14, 2)}}
	for i := range 64 {
		b.Marks = append(b.Marks, Mark{MarkLevel, march(13, 23).Add(time.Duration(i) * 7 * time.Minute), fmt.Sprintf("L%d started", i%3+1)})
	}
	for i := range 215 {
		row := Row{Name: fmt.Sprintf("node-%03d", i)}
		for j := range i % 50 {
			from := march(13, 20).Add(time.Duration(i*j*37%1900) * time.Minute)
			row.Red = append(row.Red, Red{from, from.Add(time.Duration(j%7) * time.Minute), []string{fmt.Sprintf("Alert%d", j%9)}})
		}
		b.Rows = append(b.Rows, row)
	}
	return b
}

func durations() Durations {
	const m = time.Minute
	return Durations{ID: "durations", Title: "Rollbacks of this quarter", Rollbacks: []Timed{
		{"CHG0030001", "../changes/CHG0030001", night(2, 16), []TimedLevel{{"L1", 42 * m, 30 * m, false, "escalated"}, {"L2", 9 * m, 30 * m, false, "recovered"}}},
		{"CHG0029987", "../changes/CHG0029987", night(1, 16).AddDate(0, 0, -3), []TimedLevel{{"L1", 12*m + 10*time.Second, 30 * m, false, "recovered"}}},
		{"CHG0029900 database with a long name", "", night(1, 16).AddDate(0, -1, -3), []TimedLevel{{"L1", 31 * m, 30 * m, false, "failed"}, {"L2", 72 * time.Hour, time.Hour, false, "failed"}, {"L3", 50 * m, 0, false, "recovered"}}},
		{"CHG0030009", "", night(3, 16), []TimedLevel{{"L1", 5 * m, 30 * m, true, ""}, {"L2", -1, 30 * m, false, ""}}},
	}}
}

func calendar() Calendar {
	return Calendar{ID: "calendar", Title: "Windows of the next two weeks", Now: march(14, 3), Bars: []Bar{
		{"CHG0030001", "../changes/CHG0030001", "OpenSSL 3.0.14 on the web tier", march(14, 2), march(14, 4), march(14, 8), "backing out", ToneBad, []string{"web-1"}},
		{"CHG0030002", "../changes/CHG0030002", "Kernel", march(15, 22), march(16, 2), march(16, 14), "ready", ToneGood, []string{"web-1", "web-2", "db-1"}},
		{"CHG0030003", "", "PostgreSQL 16.4, with a title that is much too long to be shown anywhere at all in full", march(16, 1), march(16, 6), march(17, 6), "planned", ToneWait, []string{"web-2", "db-1"}},
		{"CHG0030004", "", "", march(12, 1), march(13, 6), time.Time{}, "closed", ToneNone, nil},
		{"CHG0030005", "", "Windows KB5034441", march(25, 1), march(25, 6), march(28, 3), "planned", ToneWait, nil},
		{"CHG0030006", "", "of April", march(40, 1), march(40, 6), march(41, 3), "planned", ToneWait, nil},
	}, Freezes: []Freeze{{"quarter end", march(20, 0), march(23, 0)}, {"audit", march(22, 0), march(22, 12)}}}
}

// packed has so many changes.
func packed(n int) Calendar {
	c := Calendar{ID: "packed", Now: march(14, 3), Freezes: calendar().Freezes}
	for i := range n {
		opens := march(13, 0).Add(time.Duration(i*i%331) * time.Hour)
		c.Bars = append(c.Bars, Bar{
			fmt.Sprintf("CHG00301%02d", i), fmt.Sprintf("../changes/CHG00301%02d", i), "a title", opens, opens.Add(2 * time.Hour), opens.Add(8 * time.Hour),
			[]string{"closed", "ready", "planned", "backing out"}[i%4], Tone(i % 4),
			[]string{fmt.Sprint("web-", i%60)},
		})
	}
	return c
}

func replayed() Replay {
	r := Replay{ID: "replay", Title: "The last three months", From: march(1, 0).AddDate(0, -2, 0), Until: march(30, 0)}
	day := func(j int) time.Time { return march(1, 0).AddDate(0, -2, j*j*13%80) }
	for i, name := range []string{"WebErrorsAfterPatch", "DiskFilling", "LatencyTooHigh", "DatabaseReplicationIsBehind"} {
		lane := RuleLane{Name: name}
		for j := range 12 * i {
			kind := []WouldKind{WouldOpen, WouldRecord, WouldRecord, WouldStop}[j*7%4]
			judged := Undecided
			if kind == WouldOpen {
				judged = []Judged{Agreed, Disagreed, Undecided}[j%3]
			}
			lane.Would = append(lane.Would, Would{day(j), kind, judged, fmt.Sprintf("CHG003%04d on web-1: HTTPDown", j), "../rules/explain"})
		}
		r.Rules = append(r.Rules, lane)
	}
	for j := range 9 {
		r.Did = append(r.Did, Did{day(j), day(j).Add(5 * time.Hour), j == 3, fmt.Sprintf("CHG003%04d on web-1", j), "../rollbacks/01ABC"})
	}
	return r
}
