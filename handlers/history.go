package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// history streams what came in and what became of it, one JSON object a line. One is
// read at a time: it may be all there is.
func (h *Handler) history(c *call) error {
	since, until, err := c.span()
	if err != nil {
		return err
	}
	if c.r.Method == http.MethodHead {
		return nil
	}
	if !h.reading.TryLock() {
		return errOverloaded
	}
	defer h.reading.Unlock()
	c.w.Header().Set("Content-Type", "application/x-ndjson")
	return h.streamed(c, func(ctx context.Context, w io.Writer) error {
		lines := bufio.NewWriterSize(w, 64<<10)
		encoder := json.NewEncoder(lines)
		encoder.SetEscapeHTML(false)
		err := h.o.Rules.History(ctx, since, until, func(e HistoryEntry) error {
			if err := encoder.Encode(e); err != nil {
				return fmt.Errorf("write history: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := lines.Flush(); err != nil {
			return fmt.Errorf("write history: %w", err)
		}
		return nil
	})
}

// span reads ?since= and ?until=; without until it goes to now.
func (c *call) span() (since, until time.Time, err error) {
	value, err := c.query("since", "until")
	if err != nil {
		return since, until, err
	}
	if since, err = time.Parse(time.RFC3339, value("since")); err != nil {
		return since, until, invalid("since: %s is not a time, want RFC 3339", quoteShort(value("since")))
	}
	if until = time.Now(); value("until") != "" {
		if until, err = time.Parse(time.RFC3339, value("until")); err != nil {
			return since, until, invalid("until: %s is not a time, want RFC 3339", quoteShort(value("until")))
		}
	}
	if !since.Before(until) {
		return since, until, invalid("since must be before until")
	}
	return since.UTC(), until.UTC(), nil
}
