package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written with its unit: "512KiB", "4MiB", "1GiB".
type Size int64

// UnmarshalText reads a whole number and one of B, KiB, MiB, GiB, TiB.
func (s *Size) UnmarshalText(text []byte) error {
	raw := string(text)
	digits := strings.TrimRight(raw, "BKMGTi ")
	shift, ok := map[string]int{"B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[strings.TrimSpace(raw[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !ok || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("size %q: want a whole number and a unit, such as 512KiB, 4MiB or 1GiB", raw)
	}
	*s = Size(n << shift)
	return nil
}

// MarshalText writes the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the largest unit that divides it.
func (s Size) String() string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	n, i := int64(s), 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	return strconv.FormatInt(n, 10) + units[i]
}

// Percent is a share in whole percent, written "20%".
type Percent int

// UnmarshalText reads "1%" to "100%".
func (p *Percent) UnmarshalText(text []byte) error {
	digits, ok := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 8)
	if !ok || err != nil || n < 1 || n > 100 {
		return fmt.Errorf("share %q: want 1%% to 100%%, with the sign", text)
	}
	*p = Percent(n)
	return nil
}

// MarshalText writes it with its sign.
func (p Percent) MarshalText() ([]byte, error) { return []byte(strconv.Itoa(int(p)) + "%"), nil }
