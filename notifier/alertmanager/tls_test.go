package alertmanager

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

// TestTheServersCertificateMustLeadToTheCA: without the right ca_file nobody is told, and
// the token stays here.
func TestTheServersCertificateMustLeadToTheCA(t *testing.T) {
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte("[]"))
		}
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, trusted := range map[string]bool{ca: true, "": false} {
		asked = 0
		n, err := New(Config{URLs: []string{server.URL}, Token: backout.SecretValue("a-token-of-a-test"), CAFile: file})
		if err != nil {
			t.Fatal(err)
		}
		_, err = n.Notify(t.Context(), backout.Message{Notice: backout.Notice{ID: "n1", Moment: backout.MomentRed, ChangeID: "CHG1", RollbackID: "CHG1-r1"}})
		if trusted && (err != nil || asked == 0) {
			t.Errorf("with the CA: %v, asked %d times", err, asked)
		}
		if !trusted && (err == nil || !strings.Contains(err.Error(), "certificate") || asked > 0) {
			t.Errorf("without the CA: %v, asked %d times", err, asked)
		}
	}
}
