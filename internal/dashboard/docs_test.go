package dashboard

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout/handlers"
)

// noTokens has the routes of tokens.
type noTokens struct{ handlers.Tokens }

// TestTheDocumentedRoutesAreTheRoutes: docs/api.md's tables and the mux's table
// are the same list.
func TestTheDocumentedRoutesAreTheRoutes(t *testing.T) {
	data, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, real []string
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		method := strings.Trim(cells[1], " `")
		if method != http.MethodGet && method != http.MethodPost {
			continue
		}
		documented = append(documented, method+" "+strings.Trim(cells[2], " `")+" needs "+strings.TrimSpace(cells[3]))
	}
	for _, rt := range handlers.New(handlers.Options{Pages: (&Dashboard{}).Pages(), Tokens: noTokens{}}).Routes() {
		real = append(real, fmt.Sprintf("%s %s needs %s", rt.Method, strings.ReplaceAll(rt.Path, "{$}", ""), rt.Needs))
		if rt.Doc == "" {
			t.Errorf("%s %s has no doc", rt.Method, rt.Path)
		}
	}
	slices.Sort(documented)
	slices.Sort(real)
	for _, line := range real {
		if !slices.Contains(documented, line) {
			t.Errorf("docs/api.md lacks: %s", line)
		}
	}
	for _, line := range documented {
		if !slices.Contains(real, line) {
			t.Errorf("docs/api.md has a route that is not there: %s", line)
		}
	}
}
