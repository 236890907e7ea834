package chart

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// anyTime is a time as data may have it: usual, zero, or nonsense.
func anyTime(t *rapid.T) time.Time {
	switch rapid.IntRange(0, 9).Draw(t, "kind of time") {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(rapid.Int64().Draw(t, "unix"), rapid.Int64().Draw(t, "nanoseconds"))
	case 2:
		return night(2, 0)
	case 3:
		return night(2, 0).Add(time.Duration(rapid.Int64().Draw(t, "far")))
	case 4:
		return time.Date(rapid.SampledFrom([]int{1, 1899, 1900, 9999, 10000}).Draw(t, "year"), 12, 31, 23, 59, 59, 999, time.UTC)
	default:
		return night(0, 0).Add(time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "time")))
	}
}

func anyText(t *rapid.T) string {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "web-1", "CHG0030001", strings.Repeat("W", 250), "<&\">", "\u202e"}), rapid.String()).Draw(t, "text")
}

func anyStretch(t *rapid.T) Stretch { return Stretch{anyTime(t), anyTime(t)} }

// anyList draws up to most of something.
func anyList[T any](t *rapid.T, most int, one func(*rapid.T) T) []T {
	var list []T
	for range rapid.IntRange(0, most).Draw(t, "how many") {
		list = append(list, one(t))
	}
	return list
}

func anyBands(t *rapid.T) picture {
	kinds := []MarkKind{MarkOpened, MarkLevel, MarkRecovered, MarkOther, "", "no such kind"}
	return Bands{
		ID: anyText(t), Title: anyText(t), Width: rapid.Int().Draw(t, "width"), From: anyTime(t), Until: anyTime(t), Now: anyTime(t), Window: anyStretch(t), Watch: anyStretch(t),
		Blind: anyList(t, 3, anyStretch),
		Marks: anyList(t, 12, func(t *rapid.T) Mark { return Mark{rapid.SampledFrom(kinds).Draw(t, "kind"), anyTime(t), anyText(t)} }),
		Rows: anyList(t, 4, func(t *rapid.T) Row {
			return Row{anyText(t), anyList(t, 6, func(t *rapid.T) Red { return Red{anyTime(t), anyTime(t), anyList(t, 2, anyText)} })}
		}),
	}
}

func anyDurations(t *rapid.T) picture {
	length := func(t *rapid.T) time.Duration {
		return time.Duration(rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, int64(time.Hour)), rapid.SampledFrom([]int64{0, -1, math.MaxInt64, math.MinInt64})).Draw(t, "length"))
	}
	return Durations{ID: anyText(t), Title: anyText(t), Width: rapid.Int().Draw(t, "width"), Rollbacks: anyList(t, 5, func(t *rapid.T) Timed {
		return Timed{anyText(t), anyText(t), anyTime(t), anyList(t, 11, func(t *rapid.T) TimedLevel {
			return TimedLevel{anyText(t), length(t), length(t), rapid.Bool().Draw(t, "running"), anyText(t)}
		})}
	})}
}

func anyCalendar(t *rapid.T) picture {
	return Calendar{
		ID: anyText(t), Title: anyText(t), Width: rapid.Int().Draw(t, "width"), From: anyTime(t), Until: anyTime(t), Now: anyTime(t),
		Bars: anyList(t, 40, func(t *rapid.T) Bar {
			return Bar{anyText(t), anyText(t), anyText(t), anyTime(t), anyTime(t), anyTime(t), anyText(t), Tone(rapid.IntRange(-1, 5).Draw(t, "tone")), anyList(t, 2, anyText)}
		}),
		Freezes: anyList(t, 4, func(t *rapid.T) Freeze { return Freeze{anyText(t), anyTime(t), anyTime(t)} }),
	}
}

func anyReplay(t *rapid.T) picture {
	kinds, judged := []WouldKind{WouldOpen, WouldRecord, WouldStop, "", "other"}, []Judged{Undecided, Agreed, Disagreed, "other"}
	return Replay{
		ID: anyText(t), Title: anyText(t), Width: rapid.Int().Draw(t, "width"), From: anyTime(t), Until: anyTime(t),
		Rules: anyList(t, 4, func(t *rapid.T) RuleLane {
			return RuleLane{anyText(t), anyList(t, 8, func(t *rapid.T) Would {
				return Would{anyTime(t), rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.SampledFrom(judged).Draw(t, "judged"), anyText(t), anyText(t)}
			})}
		}),
		Did: anyList(t, 5, func(t *rapid.T) Did {
			return Did{anyTime(t), anyTime(t), rapid.Bool().Draw(t, "missed"), anyText(t), anyText(t)}
		}),
	}
}

// holds checks that a picture is whole and has words, whatever it is made of.
func holds(draw func(*rapid.T) picture) func(*rapid.T) {
	return func(t *rapid.T) {
		p := draw(t)
		apart(t, whole(t, string(p.SVG())))
		if words := p.Words(); len(words) == 0 || strings.Contains(strings.Join(words, ""), "NaN") {
			t.Fatalf("words %q", words)
		}
	}
}

// TestAnyPictureIsWhole: zero times, times that run backwards, texts of all kinds.
func TestAnyPictureIsWhole(t *testing.T) {
	for name, draw := range map[string]func(*rapid.T) picture{"bands": anyBands, "durations": anyDurations, "calendar": anyCalendar, "replay": anyReplay} {
		t.Run(name, func(t *testing.T) { rapid.Check(t, holds(draw)) })
	}
}

func FuzzBands(f *testing.F) { f.Fuzz(rapid.MakeFuzz(holds(anyBands))) }

func FuzzCalendar(f *testing.F) { f.Fuzz(rapid.MakeFuzz(holds(anyCalendar))) }
