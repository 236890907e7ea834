package strictyaml

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (d *decoder) scalar(n *node, v reflect.Value, h hint) {
	if n.kind == kindNull {
		d.problem(n, h, "has no value", "give it one, or remove the key")
		return
	}
	switch v.Kind() {
	case reflect.String:
		if text, ok := d.textOf(n, h); ok {
			v.SetString(text)
		}
	case reflect.Bool:
		d.boolean(n, v, h)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if i, ok := d.integer(n, h); ok {
			if v.OverflowInt(i) {
				d.wrongKind(n, h, "a smaller number", "")
				return
			}
			v.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if i, ok := d.integer(n, h); ok {
			if i < 0 || v.OverflowUint(uint64(i)) {
				d.wrongKind(n, h, "a number from 0 on that is not too large", "")
				return
			}
			v.SetUint(uint64(i))
		}
	case reflect.Float32, reflect.Float64:
		d.float(n, v, h)
	default:
		d.problem(n, h, fmt.Sprintf("cannot be read into a %s", v.Type()), "")
	}
}

// textOf takes any single value as it is written.
func (d *decoder) textOf(n *node, h hint) (string, bool) {
	if !n.scalar() {
		d.wrongKind(n, h, "a text", "")
		return "", false
	}
	if len(h.enum) > 0 && !slices.Contains(h.enum, n.text) {
		fix := "write one of " + strings.Join(h.enum, ", ")
		if near := Nearest(n.text, h.enum); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		d.problem(n, h, "unknown value "+quote(n.text), fix)
		return "", false
	}
	return n.text, true
}

func (d *decoder) boolean(n *node, v reflect.Value, h hint) {
	if n.kind == kindBool {
		v.SetBool(strings.EqualFold(n.text, "true"))
		return
	}
	fix := ""
	if n.kind == kindText || n.kind == kindQuoted {
		switch strings.ToLower(n.text) {
		case "yes", "on", "y", "true":
			fix = "write true"
		case "no", "off", "n", "false":
			fix = "write false"
		}
	}
	d.wrongKind(n, h, "true or false", fix)
}

func (d *decoder) integer(n *node, h hint) (int64, bool) {
	const want = "a whole number"
	if n.kind != kindInt {
		fix := ""
		if _, err := strconv.ParseInt(n.text, 10, 64); n.kind == kindText && errors.Is(err, strconv.ErrRange) {
			d.wrongKind(n, h, want+" of at most 64 bits", "")
			return 0, false
		}
		if n.kind == kindQuoted {
			if _, err := strconv.ParseInt(n.text, 10, 64); err == nil {
				fix = "remove the quotes"
			}
		}
		d.wrongKind(n, h, want, fix)
		return 0, false
	}
	digits := strings.TrimLeft(n.text, "+-")
	if len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0123456789_") == "" {
		d.problem(n, h, "the number "+clip(n.text)+" starts with 0, which YAML 1.1 and 1.2 read differently", "leave the 0 away")
		return 0, false
	}
	i, err := strconv.ParseInt(strings.TrimPrefix(n.text, "+"), 0, 64)
	if err != nil {
		d.wrongKind(n, h, want+" of at most 64 bits", "")
		return 0, false
	}
	return i, true
}

func (d *decoder) float(n *node, v reflect.Value, h hint) {
	if n.kind == kindInt {
		if i, ok := d.integer(n, h); ok {
			v.SetFloat(float64(i))
		}
		return
	}
	// The parser takes 1e3 for a text; YAML 1.2 has it for a number.
	f, err := strconv.ParseFloat(n.text, 64)
	if !n.scalar() || n.kind == kindQuoted || n.kind == kindBlock || err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		d.wrongKind(n, h, "a number", "")
		return
	}
	v.SetFloat(f)
}

func (d *decoder) time(n *node, v reflect.Value, h hint) {
	const example = "write it like 2026-01-31T14:05:00Z or 2026-01-31T14:05:00+02:00"
	if n.kind == kindNull {
		d.problem(n, h, "has no value", example)
		return
	}
	t, err := time.Parse(time.RFC3339, n.text)
	if !n.scalar() || err != nil {
		d.wrongKind(n, h, "a time with its zone", example)
		return
	}
	v.Set(reflect.ValueOf(t))
}

func (d *decoder) textUnmarshaler(n *node, target encoding.TextUnmarshaler, h hint) {
	switch {
	case n.kind == kindNull:
		d.problem(n, h, "has no value", "give it one, or remove the key")
	case !n.scalar():
		d.wrongKind(n, h, "a single value", "")
	default:
		if err := target.UnmarshalText([]byte(n.text)); err != nil {
			d.failed(n, h, err)
		}
	}
}

// jsonUnmarshaler hands the value over as JSON, for types that know only that.
func (d *decoder) jsonUnmarshaler(n *node, target json.Unmarshaler, h hint) {
	var value any
	before := len(d.problems)
	d.value(n, reflect.ValueOf(&value).Elem(), h)
	if len(d.problems) > before {
		return
	}
	data, err := json.Marshal(value)
	if err == nil {
		err = target.UnmarshalJSON(data)
	}
	if err != nil {
		d.failed(n, h, err)
	}
}
