package house

import (
	"go/ast"
	"slices"
	"testing"
)

// pure packages decide; they do nothing. Time, votes and answers are inputs.
var pure = []string{"", "internal/rollback", "internal/change", "internal/gate", "internal/evidence", "internal/baseline", "internal/told", "internal/chart"}

// pureImports are what every pure package may import beside the root package.
// The root adds the encoders and the shapes of the plug-in contracts, the pictures
// their style and the type that pages take them by.
var (
	pureImports = []string{
		"cmp", "container/heap", "container/list", "crypto/sha256", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "iter", "maps", "math", "path", "slices", "sort", "strconv", "strings",
		"time", "unicode", "unicode/utf8",
	}
	rootImports  = append([]string{"context", "io", "log/slog", "reflect", "regexp"}, pureImports...)
	chartImports = append([]string{"embed", "html/template"}, pureImports...)
)

// clockWords read or wait for the machine's time.
var clockWords = []string{
	"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.Tick", "time.NewTimer", "time.NewTicker",
}

// TestPurePackagesImport: no I/O, no log, no libraries.
func TestPurePackagesImport(t *testing.T) {
	for _, f := range readTree(t).code() {
		if !slices.Contains(pure, f.pkg) {
			continue
		}
		allowed := pureImports
		switch f.pkg {
		case "":
			allowed = rootImports
		case "internal/chart":
			allowed = chartImports
		}
		for _, imp := range f.imports() {
			if imp != module && !slices.Contains(allowed, imp) {
				t.Errorf("%s imports %s: %s is pure; let its caller do that and hand in the result", f.path, imp, name(f.pkg))
			}
		}
	}
}

// TestPurePackagesHaveNoClock: the same input gives the same answer, for ever.
func TestPurePackagesHaveNoClock(t *testing.T) {
	for _, f := range readTree(t).code() {
		if !slices.Contains(pure, f.pkg) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s := selector(n); slices.Contains(clockWords, s) {
				t.Errorf("%s: %s in a pure package: take the time as an argument", f.at(n), s)
			}
			switch n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: a goroutine in a pure package: the caller owns concurrency", f.at(n))
			case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				t.Errorf("%s: a channel in a pure package: take values, return values", f.at(n))
			}
			return true
		})
	}
}

// TestRootIsSmall: the nouns, and nothing that grows quietly.
func TestRootIsSmall(t *testing.T) {
	var files []string
	for _, f := range readTree(t).code() {
		if f.pkg == "" {
			files = append(files, f.path)
		}
	}
	if len(files) > 14 {
		t.Errorf("the root package has %d files, at most 14 are allowed: %v; what is not a noun or a contract belongs further down", len(files), files)
	}
}
