package simtest

import (
	"testing"
)

func TestSeeds_are_numbers_and_ranges(t *testing.T) {
	got, err := parseSeeds("7, 20-22,3")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "seeds", []uint64{7, 20, 21, 22, 3}, got)
	for _, bad := range []string{"", "a", "5-2", "1-", "-3", "1..4"} {
		if _, err := parseSeeds(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
