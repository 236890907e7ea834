package handlers

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// BackupErrorTrailer says, behind the body, why a backup or a history that had begun
// did not come to its end. Such a body is none, whoever reads it.
const BackupErrorTrailer = "Backout-Error"

// backup streams a backup of the store. One is made at a time: it reads
// everything there is.
func (h *Handler) backup(c *call) error {
	if c.r.Method == http.MethodHead {
		return nil
	}
	if !h.backingUp.TryLock() {
		return errOverloaded
	}
	defer h.backingUp.Unlock()
	header := c.w.Header()
	header.Set("Content-Type", "application/gzip")
	header.Set("Content-Disposition", `attachment; filename="backout.backup"`)
	return h.streamed(c, func(ctx context.Context, w io.Writer) error { return h.o.Control.Backup(ctx, c.actor, w) })
}

// streamed writes a body that may take long. It ends early when the server stops; an
// error before the first byte is the answer, and one behind it stands in the trailer.
func (h *Handler) streamed(c *call, write func(context.Context, io.Writer) error) error {
	ctx, cancel := context.WithCancelCause(c.r.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		select {
		case <-h.endingCtx.Done():
			cancel(errEnding)
		case <-ctx.Done():
		}
	})
	header := c.w.Header()
	header.Set("Trailer", BackupErrorTrailer)
	err := write(ctx, &patientWriter{c.w, http.NewResponseController(c.w)})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	switch {
	case err == nil:
	case c.w.status == 0:
		header.Del("Trailer")
		header.Del("Content-Disposition")
	default:
		_, body := describe(err)
		header.Set(BackupErrorTrailer, body.Message)
	}
	return err
}

// patientWriter gives every write its own time: the whole body may take longer
// than any one answer.
type patientWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (p *patientWriter) Write(b []byte) (int, error) {
	// A writer that knows no deadline is a test's; the server's knows.
	_ = p.control.SetWriteDeadline(time.Now().Add(streamWrite))
	return p.w.Write(b)
}
