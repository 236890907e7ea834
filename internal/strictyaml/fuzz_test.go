package strictyaml

import (
	"bytes"
	"testing"
	"time"
)

// Whatever stands in a file, reading it ends soon, does not panic, and places
// every problem inside the file.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		plugin, "name: [", "a: &a [*a]", "labels: {<<: [*x, {a: b}]}", "list:\n- name: |+\n\n  x\n", "? a\n: b\n", "%TAG ! x\n---\n", "name: \"\\u00e9\\\n x\"\n",
		"next: {next: {next: {list: [{}, {port: 0x}]}}}\n", "any: {a: [1, .nan, -0, 0o7, 1_0]}\nraw: [*y]", "form: &x {votes: 1}\nmode: *x\n", "\ufeff--- !!map {name: x}\n...\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		begin := time.Now()
		var typed sample
		var loose any
		var text struct{ Name Text }
		problems := Decode("f", data, &typed)
		problems = append(problems, Decode("f", data, &loose)...)
		_ = Decode("f", data, &text)
		lines := bytes.Count(data, []byte{'\n'}) + bytes.Count(data, []byte{'\r'}) + 2
		for _, p := range problems {
			if p.What == "" || p.Line < 0 || p.Column < 0 || p.Line > lines {
				t.Errorf("problem %+v in a file of %d lines", p, lines)
			}
		}
		for i := range len(text.Name.Value) + 1 {
			if pos := text.Name.At(i); pos.Line > lines {
				t.Errorf("character %d stands at %v", i, pos)
			}
		}
		var into struct{ Token string }
		_ = typed.With.Decode(&into)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("took %v for %d bytes", took, len(data))
		}
	})
}
