package chart

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkBands draws 200 targets with 50 times of red each.
func BenchmarkBands(b *testing.B) {
	p := Bands{ID: "bench", From: march(1, 0), Until: march(3, 0)}
	for i := range rowsMost {
		row := Row{Name: fmt.Sprintf("web-%03d", i)}
		for j := range 50 {
			from := march(1, 0).Add(time.Duration(i*j*37%2880) * time.Minute)
			row.Red = append(row.Red, Red{from, from.Add(3 * time.Minute), []string{"HTTPDown"}})
		}
		p.Rows = append(p.Rows, row)
	}
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = len(p.SVG())
	}
	b.ReportMetric(float64(size), "bytes")
}

// BenchmarkCalendar packs 300 changes.
func BenchmarkCalendar(b *testing.B) {
	p := packed(barsMost)
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = len(p.SVG())
	}
	b.ReportMetric(float64(size), "bytes")
}
