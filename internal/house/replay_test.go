package house

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// asks is the one package with a client in it that rules see: of its functions they
// use only those that check a query's text.
const asks = "internal/promql"

// TestReplayCanDoNothing: rules that run over the past have no way to anything but
// their caller, through whatever they import.
func TestReplayCanDoNothing(t *testing.T) {
	byFolder := map[string][]*goFile{}
	for _, f := range readTree(t).code() {
		byFolder[f.pkg] = append(byFolder[f.pkg], f)
	}
	from := map[string]string{"internal/replay": ""}
	for todo := []string{"internal/replay"}; len(todo) > 0; todo = todo[1:] {
		for _, f := range byFolder[todo[0]] {
			for _, imp := range f.imports() {
				pkg, ours := own(imp)
				if _, seen := from[pkg]; ours && !seen {
					from[pkg] = f.path
					todo = append(todo, pkg)
				}
				if outside(imp) && f.pkg != asks {
					t.Errorf("%s imports %s: a replay must not be able to do anything, and it reaches this file", f.path, imp)
				}
			}
		}
	}
	for pkg, importer := range from {
		for _, doer := range []string{"internal/store", "internal/bus", "internal/runner", "internal/host", "internal/engine", "internal/outbox", "executors", "notifier", "handlers"} {
			if pkg == doer || strings.HasPrefix(pkg, doer+"/") {
				t.Errorf("%s imports %s: a replay must not be able to do anything", importer, pkg)
			}
		}
	}
	for pkg := range from {
		for _, f := range byFolder[pkg] {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if s := selector(n); s == "promql.NewClient" || s == "promql.Client" {
					t.Errorf("%s: %s: a replay must not be able to ask anybody", f.at(n), s)
				}
				return true
			})
		}
	}
	if _, ok := from["rules"]; !ok || len(from) < 6 {
		t.Errorf("followed %d packages only: %v", len(from), from)
	}
	for _, f := range byFolder["internal/replay"] {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s := selector(n); slices.Contains(clockWords, s) {
				t.Errorf("%s: %s: a replay has no time but that of its history", f.at(n), s)
			}
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s: a goroutine: what a replay says must be the same twice", f.at(n))
			}
			return true
		})
	}
}

// outside tells whether the import leads to the network, files or processes.
func outside(imp string) bool {
	return imp == "net" || strings.HasPrefix(imp, "net/") && imp != "net/netip" && imp != "net/url" ||
		imp == "os" || strings.HasPrefix(imp, "os/") || imp == "syscall" || imp == "plugin" || imp == "unsafe" || strings.HasPrefix(imp, "golang.org/x/sys")
}
