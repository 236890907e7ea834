package authorized

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout/internal/access"
)

// TestTheDocumentedRightsAreTheRights: the table of docs/access.md is the one that
// decides.
func TestTheDocumentedRightsAreTheRights(t *testing.T) {
	data, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, real := map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[1], " `") {
			documented[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	for name, action := range map[string]access.Action{
		"read": access.ActionRead, "look": access.ActionLook, "stop": access.ActionStop, "go_on": access.ActionGoOn, "approve": access.ActionApprove,
		"break_glass": access.ActionBreakGlass, "change": access.ActionChange, "rule": access.ActionRule, "admin": access.ActionAdmin,
	} {
		var roles []string
		for _, role := range access.Roles(action) {
			roles = append(roles, string(role))
		}
		real[name] = strings.Join(roles, ", ")
	}
	if diff := cmp.Diff(documented, real); diff != "" {
		t.Errorf("docs/access.md (-documented +real):\n%s", diff)
	}
}
