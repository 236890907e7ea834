package checks

import (
	"fmt"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/plugin"
)

// Options are what checks need beside their own section.
type Options struct {
	// PrometheusURL is asked by promql checks, with PrometheusToken as bearer
	// token if there is one. Empty: plans with promql checks are refused.
	PrometheusURL   string
	PrometheusToken backout.Secret
}

// All returns every check type.
func All(o Options) []Kind {
	return []Kind{commandKind(), httpKind(), promqlKind(o), unitKind()}
}

// NewRegistry refuses two types of one name.
func NewRegistry(kinds ...Kind) (*Registry, error) { return plugin.NewRegistry(kinds...) }

func green(format string, args ...any) Result {
	return Result{Green: true, Detail: oneLine(fmt.Sprintf(format, args...))}
}

func red(format string, args ...any) Result {
	return Result{Detail: oneLine(fmt.Sprintf(format, args...))}
}

// oneLine keeps what a target or server said to one printable line.
func oneLine(s string) string {
	const most = 300
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return s
}
