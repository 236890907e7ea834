package secret

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/backout-io/backout"
)

var secretType = reflect.TypeFor[backout.Secret]()

// Resolve fills in every [backout.Secret] that config, a pointer, leads to
// through structs, pointers, slices, arrays, maps and interfaces. Secrets without
// a place are left alone. The error joins every one that could not be read, each
// with the path of its field; the others have their values then.
//
// A secret in an unexported field cannot be filled: if it has a place, that is
// an error.
func Resolve(config any, read Reader) error {
	v := reflect.ValueOf(config)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("resolve secrets of %T: want a pointer", config)
	}
	w := walker{read: read, seen: map[visit]bool{}}
	w.walk(v, "")
	return errors.Join(w.errs...)
}

// All returns every secret that config, a pointer, leads to, in the way of
// [Resolve].
func All(config any) []backout.Secret {
	v := reflect.ValueOf(config)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return nil
	}
	var all []backout.Secret
	w := walker{seen: map[visit]bool{}, found: func(s backout.Secret) { all = append(all, s) }}
	w.walk(v, "")
	return all
}

type visit struct {
	pointer uintptr
	typ     reflect.Type
}

type walker struct {
	read Reader
	seen map[visit]bool
	errs []error
	// found is given the secrets instead of filling them in, when it is set.
	found func(backout.Secret)
}

func (w *walker) walk(v reflect.Value, path string) {
	if v.Type() == secretType {
		w.fill(v, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || w.seen[visit{v.Pointer(), v.Type()}] {
			return
		}
		w.seen[visit{v.Pointer(), v.Type()}] = true
		w.walk(v.Elem(), path)
	case reflect.Interface:
		w.boxed(v, path)
	case reflect.Struct:
		for i := range v.NumField() {
			w.walk(v.Field(i), join(path, fieldName(v.Type().Field(i))))
		}
	case reflect.Slice, reflect.Array:
		if !mayHold(v.Type().Elem()) {
			return
		}
		for i := range v.Len() {
			w.walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		w.mapped(v, path)
	default:
	}
}

func (w *walker) fill(v reflect.Value, path string) {
	if !v.CanSet() {
		if !v.FieldByName("ref").IsZero() {
			w.errs = append(w.errs, fmt.Errorf("%s: a secret in a field that is not exported", path))
		}
		return
	}
	secret, ok := v.Interface().(backout.Secret)
	if ok && w.found != nil {
		w.found(secret)
		return
	}
	if !ok || secret.Ref() == (backout.SecretRef{}) {
		return
	}
	value, err := w.read.Read(secret.Ref())
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s: %w", path, err))
		return
	}
	v.Set(reflect.ValueOf(secret.WithValue(value)))
}

// boxed resolves a copy of what an interface holds and puts it back, since what
// it holds itself cannot be set.
func (w *walker) boxed(v reflect.Value, path string) {
	if v.IsNil() || !v.CanSet() {
		return
	}
	if v.Elem().Kind() == reflect.Pointer {
		w.walk(v.Elem(), path)
		return
	}
	held := reflect.New(v.Elem().Type()).Elem()
	held.Set(v.Elem())
	w.walk(held, path)
	v.Set(held)
}

func (w *walker) mapped(v reflect.Value, path string) {
	if !mayHold(v.Type().Elem()) || !v.CanInterface() {
		return
	}
	for it := v.MapRange(); it.Next(); {
		held := reflect.New(v.Type().Elem()).Elem()
		held.Set(it.Value())
		w.walk(held, join(path, fmt.Sprint(it.Key())))
		v.SetMapIndex(it.Key(), held)
	}
}

// mayHold saves the walk through texts, bytes and numbers.
func mayHold(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map:
		return true
	default:
		return false
	}
}

func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// fieldName is what files call the field; an embedded struct has no name there.
func fieldName(f reflect.StructField) string {
	for _, key := range []string{"yaml", "json"} {
		if name, _, _ := strings.Cut(f.Tag.Get(key), ","); name != "" && name != "-" {
			return name
		}
	}
	if f.Anonymous {
		return ""
	}
	return strings.ToLower(f.Name)
}
