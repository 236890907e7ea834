package change

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backout-io/backout"
)

func TestValidate(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, tt := range map[string]struct {
		spoil func(*backout.ChangeSpec)
		check string
	}{
		"good":             {func(*backout.ChangeSpec) {}, ""},
		"longest id":       {func(s *backout.ChangeSpec) { s.ID = strings.Repeat("a", 64) }, ""},
		"no id":            {func(s *backout.ChangeSpec) { s.ID = "" }, "id"},
		"long id":          {func(s *backout.ChangeSpec) { s.ID = strings.Repeat("a", 65) }, "id"},
		"space in id":      {func(s *backout.ChangeSpec) { s.ID = "CHG 1" }, "id"},
		"wildcard in id":   {func(s *backout.ChangeSpec) { s.ID = "CHG.>" }, "id"},
		"star in id":       {func(s *backout.ChangeSpec) { s.ID = "CHG*" }, "id"},
		"dot first":        {func(s *backout.ChangeSpec) { s.ID = ".." }, "id"},
		"dash first":       {func(s *backout.ChangeSpec) { s.ID = "-rf" }, "id"},
		"slash in id":      {func(s *backout.ChangeSpec) { s.ID = "a/b" }, "id"},
		"letter of others": {func(s *backout.ChangeSpec) { s.ID = "Änderung" }, "id"},
		"digit of others":  {func(s *backout.ChangeSpec) { s.ID = "CHG٣" }, "id"},
		"no target":        {func(s *backout.ChangeSpec) { s.Targets = nil }, "targets"},
		"nameless target":  {func(s *backout.ChangeSpec) { s.Targets = []string{""} }, "targets"},
		"target twice":     {func(s *backout.ChangeSpec) { s.Targets = []string{"a", "a"} }, "targets"},
		"too many targets": {func(s *backout.ChangeSpec) { s.Targets = make([]string, maxTargets+1) }, "targets"},
		"no plan":          {func(s *backout.ChangeSpec) { s.Plan = "" }, "plan"},
		"closes early":     {func(s *backout.ChangeSpec) { s.Window.Closes = s.Window.Opens }, "window"},
		"auto, no opens":   {func(s *backout.ChangeSpec) { s.Window = backout.Window{Auto: true} }, "window"},
		"negative watch":   {func(s *backout.ChangeSpec) { s.Window.Watch = -1 }, "window"},
		"patch kind":       {func(s *backout.ChangeSpec) { s.Patch.Kind = "hotfix" }, "patch"},
		"long title":       {func(s *backout.ChangeSpec) { s.Title = long }, "title"},
		"invalid UTF-8":    {func(s *backout.ChangeSpec) { s.Owner = "a\xff" }, "owner"},
		"long label":       {func(s *backout.ChangeSpec) { s.Labels = map[string]string{"a": long} }, "labels"},
		"empty audience":   {func(s *backout.ChangeSpec) { s.Stakeholders = []string{""} }, "stakeholders"},
		"most targets":     {func(s *backout.ChangeSpec) { s.Targets = names(maxTargets, 80) }, ""},
		"long names":       {func(s *backout.ChangeSpec) { s.Targets = names(maxTargets, 82) }, "targets"},
		"one too many":     {func(s *backout.ChangeSpec) { s.Targets = names(maxTargets+1, 10) }, "targets"},
		"long target":      {func(s *backout.ChangeSpec) { s.Targets = names(1, 254) }, "targets"},
		"line in title":    {func(s *backout.ChangeSpec) { s.Title = "a\nb" }, "title"},
		"escape in owner":  {func(s *backout.ChangeSpec) { s.Owner = "a\x1b[2J" }, "owner"},
		"C1 in owner":      {func(s *backout.ChangeSpec) { s.Owner = "a\u009b2J" }, "owner"},
		"NUL in kind":      {func(s *backout.ChangeSpec) { s.Patch.Kind = "kb\x00" }, "patch"},
		"NUL in patch id":  {func(s *backout.ChangeSpec) { s.Patch.IDs = []string{"KB1\x00"} }, "patch.ids"},
		"CR in CVE":        {func(s *backout.ChangeSpec) { s.Patch.CVEs = []string{"CVE-1\r"} }, "patch.cves"},
		"tab in audience":  {func(s *backout.ChangeSpec) { s.Stakeholders = []string{"a\tb"} }, "stakeholders"},
		"line in target":   {func(s *backout.ChangeSpec) { s.Targets = []string{"a\nb"} }, "targets"},
		"large altogether": {func(s *backout.ChangeSpec) { s.Patch.IDs = names(maxList, 1000) }, "size"},
		"letters of all":   {func(s *backout.ChangeSpec) { s.Title, s.Owner = "Änderung 変更 🙂", "José" }, ""},
		"too many CVEs":    {func(s *backout.ChangeSpec) { s.Patch.CVEs = make([]string, maxList+1) }, "patch.cves"},
	} {
		s := backout.ChangeSpec{
			ID: "CHG0030001", Plan: "web", Targets: []string{"web1"}, Patch: backout.Patch{Kind: "packages"},
			Window: backout.Window{Opens: start, Closes: start.Add(time.Hour)},
		}
		tt.spoil(&s)
		got := Validate(s)
		if tt.check == "" && len(got) > 0 || tt.check != "" && (len(got) == 0 || got[0].Check != tt.check) {
			t.Errorf("%s: got %v, want %q", name, got, tt.check)
		}
		for _, v := range got {
			if v.Reason == "" {
				t.Errorf("%s: a violation without a reason", name)
			}
		}
	}
}

// names are n different texts of the given length.
func names(n, length int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%0*d", length, i)
	}
	return out
}

// TestValidateFindsEverything: one run, all mistakes.
func TestValidateFindsEverything(t *testing.T) {
	got := Validate(backout.ChangeSpec{Patch: backout.Patch{Kind: "x"}, Window: backout.Window{Auto: true}})
	checks := map[string]bool{}
	for _, v := range got {
		checks[v.Check] = true
	}
	for _, want := range []string{"id", "targets", "plan", "patch", "window"} {
		if !checks[want] {
			t.Errorf("nothing about %s in %v", want, got)
		}
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("CHG0030001", "web1", "web", "title")
	f.Add("", "", "", "\xff")
	f.Add("a.>", "*", "..", "$(reboot)")
	f.Fuzz(func(t *testing.T, id, target, plan, title string) {
		s := backout.ChangeSpec{ID: id, Targets: []string{target}, Plan: plan, Title: title}
		if len(Validate(s)) > 0 {
			return
		}
		if strings.ContainsAny(id, " */>\t\r\n") || len(id) > 64 || id == "" {
			t.Errorf("id %q is a subject, a path or a line of its own", id)
		}
	})
}
