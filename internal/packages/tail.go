package packages

// Tail keeps the end of what is written to it, at most Limit bytes.
type Tail struct {
	Limit int
	kept  []byte
}

// Write implements [io.Writer].
func (t *Tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*t.Limit {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.Limit:]...)
	}
	return len(p), nil
}

// Bytes is what is kept.
func (t *Tail) Bytes() []byte { return t.kept[max(0, len(t.kept)-t.Limit):] }
