package chart

import "strings"

// safe tells whether an address leads to the same server, and to a page: a path from
// the root or from here, a query or a fragment. What is not plain ASCII must have been
// escaped by whoever made it.
func safe(href string) bool {
	const most = 2048
	if href == "" || len(href) > most || strings.HasPrefix(href, "//") {
		return false
	}
	for _, r := range href {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"'<>`{}|^", r) {
			return false
		}
	}
	first := href
	if i := strings.IndexAny(href, "/?#"); i >= 0 {
		first = href[:i]
	}
	return !strings.Contains(first, ":")
}
