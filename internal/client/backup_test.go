package client

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/backout-io/backout/handlers"
)

func TestBackupIsCopied(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method+" "+r.URL.Path) })
	var out bytes.Buffer
	if err := c.Backup(t.Context(), &out); err != nil || out.String() != "GET /api/v1/backup" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestUnfinishedBackupIsAnError(t *testing.T) {
	c := connect(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", handlers.BackupErrorTrailer)
		_, _ = io.WriteString(w, "half")
		w.Header().Set(handlers.BackupErrorTrailer, "the store is damaged")
	})
	if err := c.Backup(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "the store is damaged") {
		t.Errorf("%v", err)
	}
	c = connect(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	if err := c.Backup(t.Context(), io.Discard); err == nil || !Temporary(err) {
		t.Errorf("a broken connection: %v", err)
	}
}
