package attempt

// MaxOutput is how much of each stream of a [backout.Host] Run is kept.
const MaxOutput = 1 << 20

// Capped keeps the first [MaxOutput] bytes written to it and swallows the rest,
// so that the writer is never stopped by it.
type Capped struct{ kept []byte }

// Write implements [io.Writer]; it never fails.
func (c *Capped) Write(p []byte) (int, error) {
	room := MaxOutput - len(c.kept)
	c.kept = append(c.kept, p[:min(room, len(p))]...)
	return len(p), nil
}

// Bytes returns what was kept.
func (c *Capped) Bytes() []byte { return c.kept }
