package house

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// owners says which packages may import a library, so that changing it is work
// in one place. The longest prefix counts. "*" is for small libraries that may
// be used anywhere, "tests" for those that only tests may use; tests of any
// package may use all of them.
var owners = map[string][]string{
	"github.com/nats-io/nats-server/v2":     {"internal/bus"},
	"github.com/nats-io/nats.go":            {"internal/bus", "internal/store"},
	"github.com/klauspost/compress/s2":      {"internal/store", "internal/engine"},
	"github.com/expr-lang/expr":             {"rules"},
	"github.com/goccy/go-yaml":              {"internal/strictyaml"},
	"github.com/agnivade/levenshtein":       {"internal/strictyaml", "internal/config", "rules", "internal/cli"},
	"github.com/prometheus/alertmanager":    {"internal/alertwire", "handlers", "rules", "notifier"},
	"github.com/prometheus/common":          {"internal/alertwire", "handlers", "rules", "notifier"},
	"github.com/valyala/fastjson":           {"internal/alertwire", "handlers"},
	"github.com/prometheus/client_golang":   {"internal/metrics", "internal/engine", "internal/app", "handlers"},
	"github.com/slack-go/slack":             {"notifier/slack"},
	"github.com/gorilla/websocket":          {"internal/slackfake"},
	"github.com/wneessen/go-mail":           {"notifier/email"},
	"github.com/cenkalti/backoff/v4":        {"internal/retry", "internal/outbox", "internal/runner", "internal/engine", "internal/host/ssh", "internal/client"},
	"github.com/oklog/ulid/v2":              {"internal/engine"},
	"github.com/spf13/cobra":                {"internal/cli"},
	"github.com/spf13/pflag":                {"internal/cli"},
	"golang.org/x/crypto":                   {"internal/host/ssh"},
	"golang.org/x/crypto/bcrypt":            {"internal/password"},
	"github.com/coreos/go-oidc/v3":          {"internal/auth"},
	"golang.org/x/oauth2":                   {"internal/auth", "internal/auth/device", "internal/itsm"},
	"github.com/pkg/sftp":                   {"internal/host/ssh"},
	"golang.org/x/term":                     {"internal/cli", "internal/cli/view", "internal/demo"},
	"golang.org/x/sys":                      {"*"},
	"golang.org/x/sync":                     {"*"},
	"golang.org/x/text":                     {"*"},
	"golang.org/x/time":                     {"*"},
	"github.com/nats-io/jwt/v2":             {"tests"},
	"github.com/nats-io/nkeys":              {"tests"},
	"github.com/google/go-cmp":              {"tests"},
	"pgregory.net/rapid":                    {"tests"},
	"go.uber.org/goleak":                    {"tests"},
	"github.com/rogpeppe/go-internal":       {"tests"},
	"golang.org/x/tools/txtar":              {"tests"},
	"github.com/emersion/go-smtp":           {"tests"},
	"github.com/emersion/go-sasl":           {"tests"},
	"github.com/chromedp/chromedp":          {"tests"},
	"github.com/chromedp/cdproto":           {"tests"},
	"golang.org/x/net":                      {"tests"},
	"github.com/prometheus/client_model/go": {"tests"},

	"github.com/prometheus/alertmanager/timeinterval": {"internal/route"},
}

// refusedImports have a better one, or none is wanted.
var refusedImports = map[string]string{
	"github.com/stretchr/testify": "compare with the standard library and go-cmp",
	"github.com/pkg/errors":       "use errors and fmt.Errorf with %w",
	"io/ioutil":                   "use io and os",
	"math/rand":                   "use math/rand/v2",
	"log":                         "use a *slog.Logger that is passed in",
	"unsafe":                      "there is no need for it here",
}

func TestLibrariesHaveOneOwner(t *testing.T) {
	for _, f := range readTree(t).goFiles {
		for _, imp := range f.imports() {
			if why, ok := refusedImports[imp]; ok {
				t.Errorf("%s imports %s: %s", f.path, imp, why)
			}
			if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
				continue
			}
			if _, ok := own(imp); ok {
				continue
			}
			library := longestPrefix(imp)
			if library == "" {
				t.Errorf("%s imports %s, which has no owner: use what is there, or add it to owners in internal/house with the one package that needs it", f.path, imp)
				continue
			}
			if f.test || slices.Contains(supports, f.pkg) || mayImport(owners[library], f.pkg) {
				continue
			}
			t.Errorf("%s imports %s, which belongs to %v: ask that package for what is needed", f.path, imp, owners[library])
		}
	}
}

// mayImport: a test suite is a test, whatever its file name.
func mayImport(list []string, pkg string) bool {
	return slices.Contains(list, pkg) || slices.Contains(list, "*")
}

// TestTheBinaryLinksNoTestHelp: what only helps tests is no part of the product, directly
// or by way of a library.
func TestTheBinaryLinksNoTestHelp(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+"/cmd/backout").Output()
	if err != nil {
		t.Fatalf("list what the binary links: %v", err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if folder, ok := own(pkg); ok && slices.Contains(supports, folder) || strings.HasPrefix(pkg, "github.com/chromedp/") {
			t.Errorf("the binary links %s, which is for tests: take it out of what imports it", pkg)
		}
	}
}

func longestPrefix(imp string) string {
	longest := ""
	for library := range owners {
		if (imp == library || strings.HasPrefix(imp, library+"/")) && len(library) > len(longest) {
			longest = library
		}
	}
	return longest
}

// TestGoMod: what is required is used, and nothing is replaced.
func TestGoMod(t *testing.T) {
	p := readTree(t)
	data, ok := p.text("go.mod")
	if !ok {
		t.Fatal("there is no go.mod")
	}
	used := map[string]bool{}
	for _, f := range p.goFiles {
		for _, imp := range f.imports() {
			used[imp] = true
		}
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "replace") {
			t.Errorf("go.mod: %q: a replaced module cannot be built by others: publish what is needed", line)
		}
		words := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(words) != 2 || !strings.HasPrefix(words[1], "v") {
			continue // not a direct requirement
		}
		if !usedFrom(words[0], used) {
			t.Errorf("go.mod requires %s, which no file imports: run go mod tidy", words[0])
		}
	}
}

func usedFrom(mod string, used map[string]bool) bool {
	for imp := range used {
		if imp == mod || strings.HasPrefix(imp, mod+"/") {
			return true
		}
	}
	return false
}
