package store

// Queued is how many posts wait for the next commit.
func Queued(s *Store) int {
	c := s.Alerts.committer
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}
