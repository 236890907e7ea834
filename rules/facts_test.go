package rules

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFactsAreTypedAndDocumented(t *testing.T) {
	var names []string
	for _, f := range Facts() {
		names = append(names, f.Name+" "+f.Type)
		if f.Doc == "" {
			t.Errorf("%s has no documentation", f.Name)
		}
	}
	want := []string{
		"alert.name string", "alert.labels map of strings", "alert.annotations map of strings", "alert.fingerprint string",
		"alert.starts_at time", "alert.age duration",
		"alert.flaps int", "alert.silenced bool", "alert.inhibited bool", "alert.suppression_known bool",
		"change.id string", "change.title string", "change.state string", "change.plan string", "change.owner string",
		"change.labels map of strings", "change.target_count int", "change.opened_at time",
		"change.window_opens time", "change.window_closes time", "change.patched bool", "change.patched_at time",
		"change.patch.kind string", "change.patch.ids list of strings", "change.patch.cves list of strings",
		"target.name string", "target.os string", "target.site string", "target.labels map of strings",
		"target.patched bool", "target.patched_at time", "target.first_red_at time", "target.red_before_patch bool",
		"evidence.red_targets int", "evidence.red_share_patched float", "evidence.red_share_unpatched float",
		"evidence.red_unpatched int", "evidence.control_targets int", "evidence.distinct_alerts int", "evidence.minutes_since_patch float",
		"now time",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

// TestEveryFactCanBeRead holds each listed fact against the expression language
// by its listed type.
func TestEveryFactCanBeRead(t *testing.T) {
	set := worldOf(change("CHG1", "web-1"))
	for _, f := range Facts() {
		condition := map[string]string{
			"string": `%s != "no such text"`, "int": "%s >= 0", "float": "%s >= 0.0", "bool": "%s or true",
			"time": `%s <= alert.starts_at + duration("1d")`, "duration": `%s >= duration("0s")`, "list of strings": "len(%s) >= 0", "map of strings": `%s["none"] == ""`,
		}[f.Type]
		rule := one("when: '" + strings.ReplaceAll(condition, "%s", f.Name) + "'")
		a := alert("alertname", "A", "instance", "web-1:9100")
		res := load(t, rule).Match(a, set, a.StartsAt)
		if len(res.Verdicts) != 1 || len(res.Errors) != 0 {
			t.Errorf("%s: verdicts %v, errors %v", rule, res.Verdicts, res.Errors)
		}
	}
}

func TestFunctionsAreDocumented(t *testing.T) {
	for _, f := range Functions() {
		name, _, _ := strings.Cut(f.Name, "(")
		if _, ok := functionNamed(name); !ok || f.Doc == "" || f.Type == "" {
			t.Errorf("function %+v", f)
		}
	}
}

// TestBoxedIsFacts: a program finds a fact by its place, so both have the same.
func TestBoxedIsFacts(t *testing.T) {
	one, other := reflect.TypeFor[facts](), reflect.TypeFor[boxed]()
	if one.NumField() != other.NumField() {
		t.Fatalf("%d fields and %d", one.NumField(), other.NumField())
	}
	for i := range one.NumField() {
		f, b := one.Field(i), other.Field(i)
		if b.Type.Kind() == reflect.Pointer {
			b.Type = b.Type.Elem()
		}
		if f.Name != b.Name || f.Type != b.Type || f.Tag.Get("expr") != b.Tag.Get("expr") {
			t.Errorf("field %d is %v and %v", i, f, b)
		}
	}
}
