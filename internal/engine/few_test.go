package engine

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestFewFitIntoARecord: what a target prints may take several bytes a character.
func TestFewFitIntoARecord(t *testing.T) {
	for _, text := range []string{"x", "<", "\x1b", "漢"} {
		all := make([]backout.Violation, 2000)
		for i := range all {
			all[i] = backout.Violation{Check: "space", Target: strings.Repeat("t", 253), Reason: strings.Repeat(text, 4000), Fix: strings.Repeat(text, 4000)}
		}
		out := few(all)
		data, err := json.Marshal(out)
		if err != nil || len(data) > 384<<10+1000 {
			t.Errorf("%q: %d of them take %d bytes, %v", text, len(out), len(data), err)
		}
		if last := out[len(out)-1]; last.Check != "more" {
			t.Errorf("%q: the last is %+v", text, last)
		}
	}
}
