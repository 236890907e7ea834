package config

import (
	"path/filepath"
	"testing"

	"github.com/backout-io/backout/executors"
	executorsall "github.com/backout-io/backout/executors/all"
	"github.com/backout-io/backout/internal/checks"
	"github.com/backout-io/backout/internal/plugin"
	notifierall "github.com/backout-io/backout/notifier/all"
)

// The schemas that editors use are those of the kinds built in.
func TestSchemasInDocs(t *testing.T) {
	ex, err := executors.NewRegistry(executorsall.Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	no, err := notifierall.Registry()
	if err != nil {
		t.Fatal(err)
	}
	ch, err := plugin.NewRegistry(checks.All(checks.Options{})...)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Schema(Kinds{Executors: ex, Notifiers: no, Checks: ch})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		golden(t, filepath.Join("..", "..", "docs", "schema", name), data)
	}
}
