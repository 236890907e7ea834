package evidence

import "container/heap"

// dueHeap orders firing entries by when they are looked at next.
type dueHeap []*entry

// Len implements [heap.Interface].
func (h dueHeap) Len() int { return len(h) }

// Less implements [heap.Interface].
func (h dueHeap) Less(i, j int) bool { return h[i].dueAt.Before(h[j].dueAt) }

// Swap implements [heap.Interface].
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapPlace, h[j].heapPlace = i, j
}

// Push implements [heap.Interface].
func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.heapPlace = len(*h)
	*h = append(*h, e)
}

// Pop implements [heap.Interface].
func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.heapPlace = -1
	return e
}

func (h *dueHeap) push(e *entry) { heap.Push(h, e) }
func (h *dueHeap) fix(e *entry)  { heap.Fix(h, e.heapPlace) }
func (h *dueHeap) remove(e *entry) {
	if e.heapPlace >= 0 {
		heap.Remove(h, e.heapPlace)
	}
}

// firstBut is the entry under the earliest time other than spared; nil when there
// is none.
func (h dueHeap) firstBut(spared *entry) *entry {
	switch {
	case len(h) > 0 && h[0] != spared:
		return h[0]
	case len(h) > 2 && h.Less(2, 1):
		return h[2]
	case len(h) > 1:
		return h[1]
	}
	return nil
}

// endedList chains ended entries by arrival.
type endedList struct{ oldest, newest *entry }

// push puts the entry at the newest end, wherever it was.
func (l *endedList) push(e *entry) {
	l.remove(e)
	e.chained, e.older = true, l.newest
	if l.newest != nil {
		l.newest.newer = e
	} else {
		l.oldest = e
	}
	l.newest = e
}

func (l *endedList) remove(e *entry) {
	if !e.chained {
		return
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		l.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		l.newest = e.older
	}
	e.older, e.newer, e.chained = nil, nil, false
}
