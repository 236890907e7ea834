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

// builtIn are the kinds that the server has.
func builtIn(t *testing.T) Kinds {
	t.Helper()
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
	return Kinds{Executors: ex, Notifiers: no, Checks: ch}
}

// The schemas that editors use are those of the kinds built in.
func TestSchemasInDocs(t *testing.T) {
	files, err := Schema(builtIn(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		golden(t, filepath.Join("..", "..", "docs", "schema", name), data)
	}
}
