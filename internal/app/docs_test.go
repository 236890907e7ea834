package app

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/backout-io/backout/handlers"
	"github.com/backout-io/backout/internal/config"
	"github.com/backout-io/backout/internal/engine"
)

var update = flag.Bool("update", false, "write docs/executors.md and docs/checks.md")

// TestMetricsPage: docs/metrics.md names every metric with its labels, and no
// other.
func TestMetricsPage(t *testing.T) {
	ch := make(chan *prometheus.Desc, 1000)
	handlers.NewMetrics().Registry.Describe(ch)
	engine.NewMetrics().Describe(ch)
	close(ch)
	described := regexp.MustCompile(`fqName: "(backout_[a-z_]+)".*variableLabels: \{([^}]*)\}`)
	want := map[string]string{}
	for desc := range ch {
		if m := described.FindStringSubmatch(desc.String()); m != nil {
			want[m[1]] = m[2]
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(backout_[a-z_]+)` \\| [a-z]+ \\|([^|]*)\\|").FindAllStringSubmatch(string(page), -1) {
		got[m[1]] = strings.NewReplacer("`", "", " ", "").Replace(m[2])
	}
	// What a handler adds while it serves is not in a bare registry.
	for _, serving := range []string{"backout_intake_waiting", "backout_intake_waiting_bytes", "backout_http_event_streams"} {
		want[serving] = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/metrics.md (-code +page):\n%s", diff)
	}
}

// TestKindPages: docs/executors.md and docs/checks.md are made of the kinds.
func TestKindPages(t *testing.T) {
	kinds, err := Kinds()
	if err != nil {
		t.Fatal(err)
	}
	var executors strings.Builder
	executors.WriteString("# Executors\n\nHow a step puts something back: `uses` names one, `with` is its section. Overdue says what is done with a running step when\nits level's time is up. Made by `go test ./internal/app -run KindPages -update`.\n\n| uses | overdue | loses | what it does |\n|---|---|---|---|\n")
	for _, k := range kinds.Executors.Kinds() {
		fmt.Fprintf(&executors, "| `%s` | %s | %s | %s |\n", k.KindName(), k.OnOverdue, k.Loses, k.Doc())
	}
	for _, k := range kinds.Executors.Kinds() {
		fmt.Fprintf(&executors, "\n## %s\n\n%s", k.KindName(), keys(k.Config()))
	}
	var checks strings.Builder
	checks.WriteString("# Checks\n\nWhat `verify.checks` may name. A check looks and changes nothing; what it cannot find out is red. Made by\n`go test ./internal/app -run KindPages -update`.\n\n| check | what it looks at |\n|---|---|\n")
	for _, k := range kinds.Checks.Kinds() {
		fmt.Fprintf(&checks, "| `%s` | %s |\n", k.Name, k.Doc)
	}
	for _, k := range kinds.Checks.Kinds() {
		fmt.Fprintf(&checks, "\n## %s\n\n%s", k.Name, keys(k.Config()))
	}
	for name, want := range map[string]string{"executors.md": executors.String(), "checks.md": checks.String()} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("docs/%s is stale (-want +got), go test ./internal/app -run KindPages -update:\n%s", name, diff)
		}
	}
}

// keys lists a section's keys by its struct tags.
func keys(section any) string {
	var b strings.Builder
	rows := sectionKeys(section)
	if len(rows) == 0 {
		return "No keys.\n"
	}
	b.WriteString("| key | type | what it is |\n|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", row[0], row[1], row[2])
	}
	return b.String()
}

// sectionKeys returns key, type and doc of each field.
func sectionKeys(section any) (rows [][3]string) {
	typ := reflect.TypeOf(section).Elem()
	if typ.Kind() != reflect.Struct {
		return nil
	}
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		rows = append(rows, [3]string{name, typeName(field.Type), field.Tag.Get("doc")})
	}
	return rows
}

func typeName(t reflect.Type) string {
	switch {
	case t.Name() == "Duration":
		return "duration"
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(t.Elem())
	case t.Kind() == reflect.Map:
		return "map of " + typeName(t.Elem())
	case t.Kind() == reflect.Int:
		return "number"
	}
	return t.Kind().String()
}

// TestReloadNamesWhatNeedsARestart: a key that belongs to the process is never
// swapped silently.
func TestReloadNamesWhatNeedsARestart(t *testing.T) {
	var old, now config.Config
	now.Listen, now.DataDir = "127.0.0.1:1", "/elsewhere"
	err := sameProcess(&old, &now)
	if err == nil || !strings.Contains(err.Error(), "listen changed") || !strings.Contains(err.Error(), "data_dir changed") {
		t.Errorf("got %v", err)
	}
	if err := sameProcess(&old, &config.Config{}); err != nil {
		t.Errorf("nothing changed, got %v", err)
	}
}
