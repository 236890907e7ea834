package password

import (
	"strings"
	"testing"
)

func TestAPasswordMatchesItsHashOnly(t *testing.T) {
	hash, err := Hash("a long enough one")
	if err != nil {
		t.Fatal(err)
	}
	if err := Valid(hash); err != nil {
		t.Error(err)
	}
	if !Matches(hash, "a long enough one") || Matches(hash, "a long enough two") || Matches("", "") || Matches("", "a long enough one") {
		t.Error("the wrong password matches, or the right one does not")
	}
}

func TestWhatCannotBeKeptIsRefused(t *testing.T) {
	for _, p := range []string{"", "short", strings.Repeat("x", 73)} {
		if _, err := Hash(p); err == nil {
			t.Errorf("%d bytes were hashed", len(p))
		}
	}
	for _, h := range []string{"", "secret-word", "$2a$04$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW", "$2a$20$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"} {
		if err := Valid(h); err == nil || h != "" && strings.Contains(err.Error(), h) {
			t.Errorf("%q: %v", h, err)
		}
	}
	if err := Valid(unknown); err != nil {
		t.Errorf("what stands for nobody's hash takes no time: %v", err)
	}
}
