package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/backout-io/backout"

// goFile is one Go file of the project, as it was read.
type goFile struct {
	path  string // from the root of the project, with slashes
	pkg   string // its folder, "" for the root
	test  bool
	lines int
	fset  *token.FileSet
	ast   *ast.File
}

// at names a place for people.
func (f *goFile) at(n ast.Node) string {
	return f.path + ":" + strconv.Itoa(f.fset.Position(n.Pos()).Line)
}

// imports returns the import paths.
func (f *goFile) imports() []string {
	paths := make([]string, 0, len(f.ast.Imports))
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// own returns the project's folder that an import path means, and whether it is
// one of the project's at all.
func own(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// name is how a folder is called in messages.
func name(pkg string) string {
	if pkg == "" {
		return "the root package"
	}
	return pkg
}

var root = filepath.Join("..", "..")

// textFile is any file of the project that people read.
type textFile struct {
	path string
	data []byte
}

// tree reads the project once, whatever its version control says of it.
var tree = sync.OnceValues(func() (project, error) {
	var p project
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "dist", ".cache", "node_modules"}, rel) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return p.read(file, rel)
	})
	return p, err
})

type project struct {
	goFiles []*goFile
	texts   []textFile
}

func (p *project) read(file, rel string) error {
	info, err := os.Stat(file)
	if err != nil || info.Size() > 1<<20 {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil
	}
	p.texts = append(p.texts, textFile{rel, data})
	if path.Ext(rel) != ".go" || strings.Contains("/"+rel, "/testdata/") {
		return nil
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, rel, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg := path.Dir(rel)
	if pkg == "." {
		pkg = ""
	}
	p.goFiles = append(p.goFiles, &goFile{
		path: rel, pkg: pkg, test: strings.HasSuffix(rel, "_test.go"), lines: bytes.Count(data, []byte("\n")), fset: fset, ast: tree,
	})
	return nil
}

func readTree(t *testing.T) project {
	t.Helper()
	p, err := tree()
	if err != nil {
		t.Fatalf("read the project: %v", err)
	}
	if len(p.goFiles) < 20 {
		t.Fatalf("found %d Go files: is this the project?", len(p.goFiles))
	}
	return p
}

// code returns the Go files that are not tests.
func (p project) code() []*goFile {
	return slices.DeleteFunc(slices.Clone(p.goFiles), func(f *goFile) bool { return f.test })
}

func (p project) text(rel string) ([]byte, bool) {
	for _, f := range p.texts {
		if f.path == rel {
			return f.data, true
		}
	}
	return nil, false
}

// selector returns "pkg.Name" for a selector on a plain identifier.
func selector(n ast.Node) string {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name + "." + s.Sel.Name
	}
	return ""
}
