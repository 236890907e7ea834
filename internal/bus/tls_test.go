package bus_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/backout-io/backout/internal/bus"
)

// TestTheServersCertificateMustLeadToTheCA: no other server may pass for the one that
// holds the log.
func TestTheServersCertificateMustLeadToTheCA(t *testing.T) {
	pair := httptest.NewTLSServer(nil)
	t.Cleanup(pair.Close)
	url := "tls://" + external(t, server.Options{JetStream: true, TLS: true, TLSTimeout: 5, TLSConfig: &tls.Config{Certificates: pair.TLS.Certificates, MinVersion: tls.VersionTLS12}})
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(t.Context(), bus.Options{URL: url, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	_, err = bus.Open(t.Context(), bus.Options{URL: url})
	wantError(t, err, "certificate", "its CA")
}
