package apt_test

import (
	"testing"

	"github.com/backout-io/backout/executors/apt"
	"github.com/backout-io/backout/executors/executorstest"
)

func TestConformance(t *testing.T) {
	executorstest.Run(t, executorstest.Suite{
		Kind: apt.Kind(), Quick: `{}`, Effects: func() int { return 0 },
		Bad: map[string]string{`{"packages": ["-x"]}`: "not a pattern", `{"packages": ["a b"]}`: "not a pattern", `{"packages": ["$(id)"]}`: "not a pattern"},
	})
}
