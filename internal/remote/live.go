package remote

// liveMost is how much of a running attempt's output a runner holds at least, in
// bytes, for servers that have not fetched it; at most twice that. What is older is
// in the output that is kept.
const liveMost = 256 << 10

// live is the newest output of an attempt. Its owner guards it.
type live struct {
	from int64 // where data begins
	data []byte
}

func (l *live) add(p []byte) {
	l.data = append(l.data, p...)
	if over := len(l.data) - liveMost; over > liveMost {
		l.data = append(l.data[:0:0], l.data[over:]...)
		l.from += int64(over)
	}
}

func (l *live) end() int64 { return l.from + int64(len(l.data)) }

// since returns at most most bytes from the offset on, and where they begin:
// later than asked where the oldest are gone.
func (l *live) since(offset int64, most int) (from int64, data []byte) {
	offset = max(offset, l.from)
	if offset >= l.end() {
		return offset, nil
	}
	data = l.data[offset-l.from:]
	return offset, append([]byte(nil), data[:min(len(data), most)]...)
}
