package store

// Queued is how many posts wait for the next commit.
func Queued(s *Store) int {
	c := s.Alerts.committer
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// Cut finds a moment at which one log stood still around a look at the other.
func Cut(changes, rollbacks func() (uint64, error)) (c, r uint64, _ error) {
	return cut(changes, rollbacks)
}
