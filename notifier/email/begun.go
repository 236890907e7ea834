package email

import "slices"

// begunMost bounds how many notices are remembered: one is tried again by its queue, and
// tests come in between.
const begunMost = 8

// begun is which addresses have the mails that not every address has yet, the newest last.
type begun []begunMail

type begunMail struct {
	noticeID string
	has      map[string]bool
}

// of returns who has the mail of the notice; who gets it is to be added there.
func (b *begun) of(noticeID string) map[string]bool {
	if noticeID == "" {
		return map[string]bool{} // nothing tells that it is the same one
	}
	for _, m := range *b {
		if m.noticeID == noticeID {
			return m.has
		}
	}
	if len(*b) == begunMost {
		*b = slices.Delete(*b, 0, 1)
	}
	m := begunMail{noticeID, map[string]bool{}}
	*b = append(*b, m)
	return m.has
}

// end forgets the notice: where it is delivered once more, it is for every address.
func (b *begun) end(noticeID string) {
	*b = slices.DeleteFunc(*b, func(m begunMail) bool { return m.noticeID == noticeID })
}
