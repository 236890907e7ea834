package house

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// TestNothingHappensOnImport: no init, which would register or start something
// that nobody asked for.
func TestNothingHappensOnImport(t *testing.T) {
	for _, f := range readTree(t).goFiles {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: an init function: let the caller do it by name, and tests in TestMain", f.at(fn))
			}
		}
	}
}

// TestTestsWaitForEvents: a test that sleeps is slow and fails on a busy
// machine. In the virtual time of testing/synctest sleeping costs nothing, and a
// loop that looks again until a deadline is no guess.
func TestTestsWaitForEvents(t *testing.T) {
	const simulated = "internal/simtest" // every test there runs in a bubble
	for _, f := range readTree(t).goFiles {
		if !f.test && !slices.Contains(supports, f.pkg) || f.pkg == simulated || slices.Contains(f.imports(), "testing/synctest") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if loop, ok := n.(*ast.ForStmt); ok && hasDeadline(loop) {
				return false
			}
			if selector(n) == "time.Sleep" {
				t.Errorf("%s: time.Sleep in a test: wait for an event, poll with a deadline, or use testing/synctest", f.at(n))
			}
			return true
		})
	}
}

// hasDeadline tells that the loop asks what time it is.
func hasDeadline(loop *ast.ForStmt) bool {
	found := false
	ast.Inspect(loop, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		found = found || ok && (s.Sel.Name == "After" || s.Sel.Name == "Before") && selector(s) != "time.After" || selector(n) == "time.Since"
		return true
	})
	return found
}

// TestSkippingIsRefusedWhereItMatters: a test may skip for a missing part on a
// developer's machine, never where all parts are required.
func TestSkippingIsRefusedWhereItMatters(t *testing.T) {
	p := readTree(t)
	for _, f := range p.goFiles {
		skips := ""
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if cond, ok := n.(*ast.IfStmt); ok && isShort(cond.Cond) {
				return false
			}
			if call, ok := n.(*ast.CallExpr); ok {
				if s := selector(call.Fun); strings.HasSuffix(s, ".Skip") || strings.HasSuffix(s, ".Skipf") || strings.HasSuffix(s, ".SkipNow") {
					skips = f.at(n)
				}
			}
			return true
		})
		if skips == "" || slices.Contains(supports, f.pkg) { // a suite leaves out what a plug-in does not offer
			continue
		}
		if data, _ := p.text(f.path); !strings.Contains(string(data), "BACKOUT_E2E") {
			t.Errorf("%s: a test skips whatever is required: fail instead when BACKOUT_E2E=require", skips)
		}
	}
}

// isShort tells that something is left out only where the person asked for it.
func isShort(cond ast.Expr) bool {
	call, ok := cond.(*ast.CallExpr)
	return ok && selector(call.Fun) == "testing.Short"
}

// TestContextComesFirst, and is not kept: a struct whose own goroutines live by
// a context says so with nolint:containedctx and the reason.
func TestContextComesFirst(t *testing.T) {
	for _, f := range readTree(t).code() {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StructType:
				for _, field := range n.Fields.List {
					if selector(field.Type) == "context.Context" && !strings.Contains(directives(field.Comment), "nolint:containedctx //") {
						t.Errorf("%s: a context in a struct: hand it to the functions that need it, or say why not with //nolint:containedctx // reason", f.at(field))
					}
				}
			case *ast.FuncDecl:
				contextFirst(t, f, n.Type)
			case *ast.FuncLit:
				contextFirst(t, f, n.Type)
			}
			return true
		})
	}
}

func contextFirst(t *testing.T, f *goFile, ft *ast.FuncType) {
	t.Helper()
	for i, field := range ft.Params.List {
		if i > 0 && selector(field.Type) == "context.Context" && !isTesting(ft.Params.List[0]) {
			t.Errorf("%s: the context is not the first parameter: move it there", f.at(field))
		}
	}
}

// directives returns the comment as it stands; [ast.CommentGroup.Text] leaves
// directives out.
func directives(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(c.Text)
	}
	return b.String()
}

// isTesting lets a test's t stand before the context.
func isTesting(first *ast.Field) bool {
	if star, ok := first.Type.(*ast.StarExpr); ok {
		return strings.HasPrefix(selector(star.X), "testing.")
	}
	return strings.HasPrefix(selector(first.Type), "testing.")
}

// printers are the packages that talk to the person at the terminal.
var printers = []string{"cmd/backout", "internal/cli", "internal/cli/view", "internal/demo"}

// TestLoggersArePassedIn: no package writes to a logger or a terminal of its own.
func TestLoggersArePassedIn(t *testing.T) {
	refused := []string{"slog.Debug", "slog.Info", "slog.Warn", "slog.Error", "slog.Log", "slog.Default", "slog.SetDefault", "fmt.Print", "fmt.Printf", "fmt.Println"}
	for _, f := range readTree(t).code() {
		if slices.Contains(printers, f.pkg) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s := selector(n); slices.Contains(refused, s) {
				t.Errorf("%s: %s: take a *slog.Logger or an io.Writer as an argument", f.at(n), s)
			}
			return true
		})
	}
}

// TestNamesSayWhatIsInside: a folder for everything becomes a folder of everything.
func TestNamesSayWhatIsInside(t *testing.T) {
	refused := []string{"util", "utils", "common", "helper", "helpers", "manager", "base", "types", "misc", "shared", "lib"}
	for _, f := range readTree(t).goFiles {
		for _, n := range append(strings.Split(f.pkg, "/"), strings.TrimSuffix(path.Base(f.path), ".go")) {
			if slices.Contains(refused, n) {
				t.Errorf("%s: %q says nothing: name it after what it does", f.path, n)
			}
		}
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok && strings.HasSuffix(ts.Name.Name, "Manager") {
					t.Errorf("%s: %s: name it after what it does", f.at(ts), ts.Name.Name)
				}
			}
		}
	}
}
