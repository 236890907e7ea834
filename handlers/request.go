package handlers

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// list wraps every list, so that it can gain more fields.
type list[T any] struct {
	Items []T `json:"items"`
}

func answerList[T any](c *call, items []T, err error) error {
	if err != nil {
		return err
	}
	if items == nil {
		items = []T{}
	}
	writeJSON(c.w, http.StatusOK, list[T]{items})
	return nil
}

func answerOne(c *call, value any, err error) error {
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, value)
	return nil
}

func answerNone(c *call, err error) error {
	if err == nil {
		c.w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (c *call) name(wildcard string) (string, error) { return PathName(c.r, wildcard) }

func (c *call) query(known ...string) (func(string) string, error) { return Query(c.r, known...) }

// PathName returns a name of the path, or refuses what cannot be the name of anything.
func PathName(r *http.Request, wildcard string) (string, error) {
	name := r.PathValue(wildcard)
	if !validName(name) {
		return "", invalid("%s %s: want letters, digits, and . _ - after the first", wildcard, quoteShort(name))
	}
	return name, nil
}

func quoteShort(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}

// Query returns the parameters of a request, and refuses those that the route does not
// know: a misspelt filter must not choose everything.
func Query(r *http.Request, known ...string) (func(string) string, error) {
	values := r.URL.Query()
	for key, given := range values {
		if !contains(known, key) {
			return nil, invalid("unknown query parameter %s: this route takes %s", quoteShort(key), strings.Join(known, ", "))
		}
		if len(given) > 1 {
			return nil, invalid("query parameter %s is given twice", key)
		}
	}
	return values.Get, nil
}

// Form reads a posted form of at most so many bytes, with these fields and no others,
// each once. What is in the address does not count.
func Form(w http.ResponseWriter, r *http.Request, most int64, known ...string) (func(string) string, error) {
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if err := r.ParseForm(); err != nil {
		return nil, unread(err)
	}
	for name, values := range r.PostForm {
		if !contains(known, name) || len(values) != 1 {
			return nil, invalid("unknown or repeated field %s of the form", quoteShort(name))
		}
	}
	return r.PostForm.Get, nil
}

// flag reads the one parameter of a route that takes no other; false when it is not
// given.
func (c *call) flag(name string) (bool, error) {
	get, err := c.query(name)
	if err != nil || get(name) == "" {
		return false, err
	}
	on, err := strconv.ParseBool(get(name))
	if err != nil {
		return false, invalid("%s %s: want true or false", name, quoteShort(get(name)))
	}
	return on, nil
}

func contains(list []string, s string) bool {
	for _, item := range list {
		if item == s {
			return true
		}
	}
	return false
}

// body reads the request's JSON into a struct, strictly.
func (h *Handler) body(c *call, into any) error { return h.decode(c, into, false) }

// optionalBody is body for routes that may be called without any.
func (h *Handler) optionalBody(c *call, into any) error { return h.decode(c, into, true) }

func (h *Handler) decode(c *call, into any, optional bool) error {
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, h.limits.MaxRequest))
	switch {
	case err != nil:
		return unread(err)
	case len(data) == 0 && optional:
		return nil
	}
	if err := wantJSON(c.r); err != nil {
		return err
	}
	if len(data) == 0 {
		return invalid("a JSON body is needed")
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badBody(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("something follows the JSON body at byte %d", dec.InputOffset())
	}
	return nil
}

// badBody says what encoding/json found, in words for people.
func badBody(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var at *time.ParseError
	switch {
	case errors.As(err, &syntax):
		return invalid("not JSON: %v (at byte %d)", syntax, syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("not JSON: the body ends too early")
	case errors.As(err, &kind) && kind.Field != "":
		return invalid("%s: must be %s, not %s (at byte %d)", kind.Field, wanted(kind.Type), kind.Value, kind.Offset)
	case errors.As(err, &kind):
		return invalid("the body must be %s, not %s", wanted(kind.Type), kind.Value)
	case errors.As(err, &at):
		return invalid("%s is not a time: want one as in 2006-01-02T15:04:05Z", quoteShort(at.Value))
	}
	// What remains are unknown fields and the texts of UnmarshalText.
	return invalid("%s", strings.TrimPrefix(err.Error(), "json: "))
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}
