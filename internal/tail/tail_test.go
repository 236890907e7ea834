package tail_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/backout-io/backout/internal/tail"
)

func TestTheEndIsKept(t *testing.T) {
	var w tail.Writer
	for i := range 5000 {
		fmt.Fprintf(&w, "line %d\n\n", i)
	}
	fmt.Fprint(&w, "  the reason\xff")
	if got := w.Lines(2); got != "line 4999; the reason?" {
		t.Errorf("%q", got)
	}
	if got := w.Lines(1 << 20); len(got) > 9<<10 || strings.Contains(got, "line 7;") {
		t.Errorf("%d bytes are kept", len(got))
	}
}

func TestNothingSaid(t *testing.T) {
	var w tail.Writer
	if got := w.Lines(3); got != "" {
		t.Errorf("%q", got)
	}
}

func TestTheEndHasALimit(t *testing.T) {
	w := &tail.Writer{Limit: 4}
	for _, p := range []string{"ab", "cdefgh", "i", "jklmnopqrst"} {
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Error(n, err)
		}
	}
	if got := string(w.Bytes()); got != "qrst" {
		t.Errorf("%q", got)
	}
}
