package rules

import (
	"testing"

	"github.com/expr-lang/expr/ast"
	"pgregory.net/rapid"
)

func pick(t *rapid.T, list ...string) string { return rapid.SampledFrom(list).Draw(t, "pick") }

// boolean, text and number are expressions of up to so many floors.
func boolean(t *rapid.T, d int) string {
	if d == 0 {
		return pick(t, "true", "change.patched", `has_label("a")`, "alert.silenced")
	}
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return pick(t, "not ", "!") + boolean(t, d-1)
	case 1:
		return "(" + boolean(t, d-1) + ")"
	case 2:
		return text(t, d-1) + pick(t, " == ", " != ", " contains ", " startsWith ", " < ") + text(t, d-1)
	case 3:
		return text(t, d-1) + pick(t, " in ", " not in ") + "[" + text(t, d-1) + ", " + text(t, d-1) + "]"
	case 4:
		return number(t, d-1) + pick(t, " == ", " < ", " >= ") + number(t, d-1)
	case 5:
		return number(t, d-1) + " < " + number(t, d-1) + " < " + number(t, d-1)
	}
	return boolean(t, d-1) + pick(t, " and ", " or ", " && ", " || ", " == ", " != ") + boolean(t, d-1)
}

func text(t *rapid.T, d int) string {
	if d > 0 && rapid.Bool().Draw(t, "f") {
		return pick(t, "lower(", "upper(") + text(t, d-1) + ")"
	}
	return pick(t, `"a"`, "\"a\\\"b\"", "`a`", "alert.name", `alert.labels["a b"]`, "alert.labels.x", `"a'b"`, `'a"b'`, `label("x")`, `"\u00e9"`)
}

func number(t *rapid.T, d int) string {
	if d == 0 {
		return pick(t, "1", "2", "10", "evidence.red_targets", "evidence.red_share_patched", "-1")
	}
	switch rapid.IntRange(0, 3).Draw(t, "n") {
	case 0:
		return "-" + number(t, d-1)
	case 1:
		return "(" + number(t, d-1) + ")"
	}
	return number(t, d-1) + pick(t, " + ", " - ", " * ", " / ") + number(t, d-1)
}

// TestTheTextOfAConditionIsAllOfIt: a rule's hash is of this text, and people promote
// rules by it. Two conditions that say something else have two texts.
func TestTheTextOfAConditionIsAllOfIt(t *testing.T) {
	x := newExpressions()
	rapid.Check(t, func(rt *rapid.T) {
		source := boolean(rt, 4)
		if _, err := newExpressions().compile(source); err != nil {
			return
		}
		tree, err := x.parse(source)
		if err != nil {
			rt.Fatal(err)
		}
		dump, written := ast.Dump(tree.Node), tree.Node.String()
		again, err := x.parse(written)
		if err != nil || ast.Dump(again.Node) != dump {
			rt.Fatalf("%s is written as %s, which is another: %v", source, written, err)
		}
	})
}
