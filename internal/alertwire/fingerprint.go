package alertwire

import (
	"maps"
	"slices"
)

// FNV-1a, 64 bit: http://www.isthe.com/chongo/tech/comp/fnv/
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// Fingerprint names a label set as Alertmanager does: FNV-1a over name, 0xff,
// value, 0xff of every label in the order of their names, as 16 hex digits.
// Source: prometheus/common, model.LabelSet.Fingerprint.
func Fingerprint(labels map[string]string) string {
	h := uint64(fnvOffset)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		h = hashPair(h, name, labels[name])
	}
	return hex16(h)
}

func hashPair(h uint64, name, value string) uint64 {
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * fnvPrime
	}
	h = (h ^ 0xff) * fnvPrime
	for i := range len(value) {
		h = (h ^ uint64(value[i])) * fnvPrime
	}
	return (h ^ 0xff) * fnvPrime
}

func hex16(h uint64) string {
	const digits = "0123456789abcdef"
	var out [16]byte
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = digits[h&0xf]
		h >>= 4
	}
	return string(out[:])
}
