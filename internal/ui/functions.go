package ui

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/told"
)

// functions are what every template may call beside the methods of its view.
var functions = template.FuncMap{
	"pair":      func(v *view, x any) pair { return pair{v, x} },
	"words":     func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "_", " ") },
	"join":      shortList,
	"took":      took,
	"plural":    plural,
	"levelName": told.LevelName,
	"tries":     func(n int) string { return strings.Replace(plural(n, "try"), "trys", "tries", 1) },
	"targets": func(r backout.Rollback) string {
		names := make([]string, len(r.Targets))
		for i, t := range r.Targets {
			names[i] = t.Name
		}
		return shortList(names)
	},
}

// pair hands the view down to a part that shows X.
type pair struct {
	V *view
	X any
}

// URL leads to a path of this server.
func (v *view) URL(parts ...string) string { return v.Base + "/" + strings.Join(parts, "/") }

// Asset is the address of a file in the folder assets.
func (v *view) Asset(name string) (string, error) {
	hashed, ok := assetNames[name]
	if !ok {
		return "", fmt.Errorf("no asset %s", name)
	}
	return v.Base + "/assets/" + hashed, nil
}

// shortList names the first few.
func shortList(list []string) string {
	const most = 8
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}

// plural says "1 target" and "3 targets".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
