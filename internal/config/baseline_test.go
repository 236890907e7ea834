package config

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
)

// deaf is a host that hears what it is asked, and says nothing.
type deaf struct{ backout.Host }

var errDeaf = errors.New("deaf")

func (deaf) Run(context.Context, backout.Exec) (backout.ExecResult, error) {
	return backout.ExecResult{}, errDeaf
}

// TestAPlanThatLoadsCanBeCaptured: a file that is taken here is not refused when the
// gate looks at the target, and the other way round.
func TestAPlanThatLoadsCanBeCaptured(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.StringOf(rapid.SampledFrom([]rune("/a.*?[]^-\\\t "))).Draw(t, "file")
		what, _ := badFile(file)
		_, err := capture.Take(t.Context(), deaf{}, backout.BaselineSpec{Files: []string{file}})
		if what == "" && !errors.Is(err, errDeaf) {
			t.Errorf("%q loads, and %v", file, err)
		}
	})
	many := make([]string, maxFilePatterns)
	for i := range many {
		many[i] = "/etc/hosts"
	}
	if _, err := capture.Take(t.Context(), deaf{}, backout.BaselineSpec{Files: many}); !errors.Is(err, errDeaf) {
		t.Error(err)
	}
	if _, err := capture.Take(t.Context(), deaf{}, backout.BaselineSpec{Files: append(many, "/x")}); errors.Is(err, errDeaf) {
		t.Error("a look takes more files than a plan may name")
	}
}
