package bench

import (
	"hash/fnv"
	"slices"
	"strconv"
)

// newReference is a fixed piece of work of about two microseconds: what programs
// do all day, and nothing that one processor has an instruction for and another
// has not. Every recorded ratio depends on it, so it stays as it is.
func newReference() func() {
	const entries = 1 << 16
	names := make([]string, entries)
	table := make(map[string]int, entries)
	for i := range names {
		names[i] = "reference-" + strconv.Itoa(i)
		table[names[i]] = i
	}
	block := make([]byte, 512)
	next, numbers, text := 0, make([]int, 32), make([]byte, 0, 256)
	return func() {
		sum := fnv.New64a()
		_, _ = sum.Write(block)
		for i := range numbers {
			// A step that shares no factor with the table's size visits all of it.
			next = (next + 40_503) % entries
			numbers[i] = table[names[next]]
		}
		slices.Sort(numbers)
		text = text[:0]
		for _, n := range numbers {
			text = strconv.AppendInt(text, int64(n), 10)
		}
		copy(block, text)
		block[0] = byte(sum.Sum64())
	}
}
