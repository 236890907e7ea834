package auth

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTheDocumentedRoutesAreTheRoutes: the table of docs/login.md and that of the service
// are the same list.
func TestTheDocumentedRoutesAreTheRoutes(t *testing.T) {
	data, err := os.ReadFile("../../docs/login.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, real []string
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 {
			continue
		}
		if method := strings.Trim(cells[1], " `"); method == "GET" || method == "POST" {
			documented = append(documented, method+" "+strings.Trim(cells[2], " `")+" needs "+strings.TrimSpace(cells[3]))
		}
	}
	for _, rt := range (&Service{}).Routes() {
		real = append(real, rt.Method+" "+rt.Path+" needs "+rt.Needs)
	}
	slices.Sort(documented)
	slices.Sort(real)
	if !slices.Equal(documented, real) {
		t.Errorf("docs/login.md says\n%s\nand the routes are\n%s", strings.Join(documented, "\n"), strings.Join(real, "\n"))
	}
}
