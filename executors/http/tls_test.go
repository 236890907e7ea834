package http

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/backout-io/backout"
)

// TestTheServersCertificateMustLeadToTheCA: with another one the request is not made, and
// that is a failure and no doubt.
func TestTheServersCertificateMustLeadToTheCA(t *testing.T) {
	asked := make(chan struct{}, 8)
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, err := run(t, fmt.Sprintf(`{"url": %q, "ca_file": %q}`, s.URL, ca), "trusted"); err != nil || len(asked) != 1 {
		t.Errorf("with the CA: %v after %d requests\n%s", err, len(asked), out)
	}
	if _, out, err := run(t, fmt.Sprintf(`{"url": %q}`, s.URL), "stranger"); err == nil || errors.Is(err, backout.ErrInDoubt) || len(asked) != 1 {
		t.Errorf("without the CA: %v after %d requests\n%s", err, len(asked)-1, out)
	}
}
