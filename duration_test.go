package backout_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

func TestDurationIsReadAndWritten(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  time.Duration
		short string
	}{
		{"0s", 0, "0s"},
		{"0", 0, "0s"},
		{"90s", 90 * time.Second, "1m30s"},
		{"30m", 30 * time.Minute, "30m"},
		{"30m0s", 30 * time.Minute, "30m"},
		{"10m", 10 * time.Minute, "10m"},
		{"12h", 12 * time.Hour, "12h"},
		{"1h10m", 70 * time.Minute, "1h10m"},
		{"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"},
		{"1.5h", 90 * time.Minute, "1h30m"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"1ns", 1, "1ns"},
		{"2d", 48 * time.Hour, "48h"},
		{"1d12h", 36 * time.Hour, "36h"},
		{"0d5m", 5 * time.Minute, "5m"},
		{" 5m\n", 5 * time.Minute, "5m"},
		{"65535d", 65535 * 24 * time.Hour, "1572840h"},
	} {
		got, err := backout.ParseDuration(tt.text)
		if err != nil || time.Duration(got) != tt.want || got.String() != tt.short {
			t.Errorf("%q is %v, written %q, %v; want %v, %q", tt.text, time.Duration(got), got, err, tt.want, tt.short)
		}
	}
}

func TestDurationRefuses(t *testing.T) {
	const unit, negative = "want a number and a unit, such as 90s, 30m, 12h or 2d", "must not be negative"
	for text, want := range map[string]string{
		"": unit, " ": unit, "5": unit, "m": unit, "d": unit, "abc": unit, "5 m": unit, "5 minutes": unit, "1w": unit,
		"1.5d": unit, "1h2d": unit, "1d2d": unit, "1d 2h": unit, "65536d": unit, "-2d": unit, "+2d": unit, "0x1d": unit,
		"9999999h": unit, "99999999999999999999s": unit, "5m\x00": unit, "∞": unit, "５m": unit,
		"-5m": negative, "-1ns": negative, "1d-1h": negative,
	} {
		got, err := backout.ParseDuration(text)
		if err == nil || got != 0 {
			t.Errorf("%q was read as %v", text, got)
			continue
		}
		if prefix := fmt.Sprintf("duration %q: ", text); !strings.HasPrefix(err.Error(), prefix) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: %v, want %s…%s", text, err, prefix, want)
		}
	}
}

// What is written is read back as the same length, and nothing shorter is.
func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]time.Duration{1, time.Microsecond, time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "unit")
		want := backout.Duration(time.Duration(rapid.Int64Range(0, int64((1<<63-1)/unit)).Draw(t, "count")) * unit)
		got, err := backout.ParseDuration(want.String())
		if err != nil || got != want {
			t.Fatalf("%d ns, written %q, read as %d, %v", int64(want), want, int64(got), err)
		}
		for _, unwanted := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(want.String(), unwanted) {
				t.Fatalf("%q is not the shortest form", want)
			}
		}
	})
}

// Whatever the text: a duration is an error or a length that can be kept.
func TestDurationOfAnyText(t *testing.T) {
	part := rapid.StringMatching(`-?[0-9]{0,6}(\.[0-9])?(d|h|m|s|ms|us|µs|ns)?`)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 0, 4).Draw(t, "parts"), "")
		d, err := backout.ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is %d ns", text, int64(d))
		}
		if again, err := backout.ParseDuration(d.String()); err != nil || again != d {
			t.Fatalf("%q, written %q, is %v, %v", text, d, again, err)
		}
	})
}

func TestDurationIsTextInJSON(t *testing.T) {
	type section struct {
		Wait  backout.Duration            `json:"wait"`
		Maybe backout.Duration            `json:"maybe,omitempty"`
		By    map[backout.Duration]string `json:"by,omitempty"`
	}
	data, err := json.Marshal(section{Wait: backout.Duration(90 * time.Minute), By: map[backout.Duration]string{backout.Duration(time.Hour): "x"}})
	if want := `{"wait":"1h30m","by":{"1h":"x"}}`; err != nil || string(data) != want {
		t.Errorf("%s %v, want %s", data, err, want)
	}
	var got section
	if err := json.Unmarshal([]byte(`{"wait":"2d"}`), &got); err != nil || time.Duration(got.Wait) != 48*time.Hour {
		t.Errorf("%v %v", got, err)
	}
	for _, text := range []string{`{"wait":5}`, `{"wait":"5"}`, `{"wait":"-5m"}`, `{"wait":true}`} {
		got.Wait = 1
		if err := json.Unmarshal([]byte(text), &got); err == nil || got.Wait != 1 {
			t.Errorf("%s was read as %v, %v", text, got.Wait, err)
		}
	}
}
