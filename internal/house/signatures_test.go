package house

import (
	"go/ast"
	"path"
	"strings"
)

// exportedUsesOfInternal lists the places where an exported function, method,
// type or field of the file names a type of an internal package.
func exportedUsesOfInternal(f *goFile) []string {
	internal := map[string]bool{}
	for _, spec := range f.ast.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		pkg, ok := own(p)
		if !ok || !strings.HasPrefix(pkg, "internal/") {
			continue
		}
		called := path.Base(p)
		if spec.Name != nil {
			called = spec.Name.Name
		}
		internal[called] = true
	}
	if len(internal) == 0 {
		return nil
	}
	var uses []string
	var look func(ast.Node)
	look = func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StructType:
				visibleFields(n.Fields, look)
				return false
			case *ast.InterfaceType:
				visibleFields(n.Methods, look)
				return false
			}
			if s := selector(n); s != "" && internal[strings.SplitN(s, ".", 2)[0]] {
				uses = append(uses, f.at(n)+": "+s)
			}
			return true
		})
	}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && receiverExported(d) {
				look(d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() {
					look(ts.Type)
				}
			}
		}
	}
	return uses
}

// visibleFields looks at what others see of a struct or an interface: exported
// names and what is embedded.
func visibleFields(list *ast.FieldList, look func(ast.Node)) {
	for _, field := range list.List {
		if len(field.Names) == 0 || anyExported(field.Names) {
			look(field.Type)
		}
	}
}

func anyExported(names []*ast.Ident) bool {
	for _, n := range names {
		if n.IsExported() {
			return true
		}
	}
	return false
}

func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	return ast.IsExported(receiverName(d))
}

// receiverName is the name of the method's type, without pointer or parameters.
func receiverName(d *ast.FuncDecl) string {
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
