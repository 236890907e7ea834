package engine

import (
	"testing"

	"github.com/backout-io/backout/internal/bus/bustest"
)

func TestMain(m *testing.M) { bustest.Main(m) }
