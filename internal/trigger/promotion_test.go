package trigger

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/backout-io/backout"
)

func TestEarned(t *testing.T) {
	const shadow, ask, auto = backout.ModeShadow, backout.ModeAsk, backout.ModeAuto
	required := Policy{Required: true}
	for name, tc := range map[string]struct {
		file  backout.Mode
		grant *Grant
		p     Policy
		want  backout.Mode
		why   string
	}{
		"its file counts":                      {auto, nil, Policy{}, auto, ""},
		"its file is in shadow":                {shadow, &Grant{Mode: auto, Hash: "01"}, required, shadow, ""},
		"nobody has promoted it":               {auto, nil, required, shadow, "nobody has promoted it"},
		"promoted":                             {auto, &Grant{Mode: auto, Hash: "01"}, required, auto, ""},
		"promoted to less":                     {auto, &Grant{Mode: ask, Hash: "01", By: "ann"}, required, ask, "promoted to ask by ann, no further"},
		"its file is the most":                 {ask, &Grant{Mode: auto, Hash: "01"}, required, ask, ""},
		"its content has changed":              {auto, &Grant{Mode: auto, Hash: "02", By: "ann"}, required, shadow, "has changed since ann let it auto"},
		"and nothing is required":              {auto, &Grant{Mode: ask, Hash: "02"}, Policy{}, auto, ""},
		"taken down":                           {auto, &Grant{Mode: shadow, Hash: "01", Lowered: true, By: "bob"}, required, shadow, "bob lets it do no more than shadow"},
		"taken down where nothing is required": {auto, &Grant{Mode: ask, Hash: "01", Lowered: true, By: "bob"}, Policy{}, ask, "bob lets it do no more than ask"},
		"and its content has changed":          {auto, &Grant{Mode: ask, Hash: "02", Lowered: true, By: "bob"}, Policy{}, ask, "bob lets it do no more than ask"},
		"or it begins again":                   {auto, &Grant{Mode: ask, Hash: "02", Lowered: true, By: "bob"}, required, shadow, "has changed"},
		"a mode that nobody knows":             {auto, &Grant{Mode: "most", Hash: "01"}, required, shadow, "no further"},
	} {
		mode, why := Earned(tc.file, "01", tc.grant, tc.p)
		if mode != tc.want || !strings.Contains(why, tc.why) || (tc.why == "") != (why == "") {
			t.Errorf("%s: %s, %q", name, mode, why)
		}
	}
}

// Nothing lets a rule do more than its file says, or, where promotion is required,
// more than somebody let it do with just this content; and whatever it may do less has
// a reason.
func TestEarnedIsNeverMoreThanGiven(t *testing.T) {
	mode := rapid.SampledFrom([]backout.Mode{backout.ModeShadow, backout.ModeAsk, backout.ModeAuto})
	rapid.Check(t, func(t *rapid.T) {
		file, p := mode.Draw(t, "file"), Policy{Required: rapid.Bool().Draw(t, "required")}
		var g *Grant
		if rapid.Bool().Draw(t, "granted") {
			g = &Grant{mode.Draw(t, "mode"), rapid.SampledFrom([]string{"01", "02"}).Draw(t, "hash"), rapid.Bool().Draw(t, "lowered"), "ann"}
		}
		got, why := Earned(file, "01", g, p)
		switch {
		case !Lowers(got, file):
			t.Fatalf("%s of %s", got, file)
		case (got == file) != (why == ""):
			t.Fatalf("%s of %s because %q", got, file, why)
		case p.Required && (g == nil || g.Hash != "01") && got != backout.ModeShadow, p.Required && g != nil && !Lowers(got, g.Mode):
			t.Fatalf("%s with %+v", got, g)
		case g != nil && g.Lowered && !Lowers(got, g.Mode):
			t.Fatalf("%s though it was taken down: %+v", got, g)
		}
	})
}

func TestRefusal(t *testing.T) {
	const shadow, ask, auto = backout.ModeShadow, backout.ModeAsk, backout.ModeAuto
	p := Policy{Required: true, Agreed: 20, Precision: 0.95}
	for _, tc := range []struct {
		to   backout.Mode
		s    Standing
		p    Policy
		want string
	}{
		{ask, Standing{auto, shadow, 0, 0}, p, ""},
		{auto, Standing{auto, shadow, 50, 0}, p, "promote it to ask first"},
		{auto, Standing{ask, ask, 50, 0}, p, "its file says mode: ask, and that is the most it may do: set mode: auto there first"},
		{ask, Standing{shadow, shadow, 50, 0}, Policy{}, "its file says mode: shadow"},
		{auto, Standing{auto, ask, 19, 0}, p, "19 changes agreed with it, the policy wants 20"},
		{auto, Standing{auto, ask, 20, 0}, p, ""},
		{auto, Standing{auto, ask, 38, 2}, p, ""},
		{auto, Standing{auto, ask, 37, 2}, p, "37 of 39 changes agreed with it, a precision of 0.95, and the policy wants 0.95"},
		{auto, Standing{auto, ask, 20, 5}, p, "20 of 25 changes agreed with it, a precision of 0.80"},
		{auto, Standing{auto, ask, 20, 5}, Policy{Required: true, Agreed: 20, Precision: 0.8}, ""},
		{auto, Standing{auto, ask, 0, 0}, Policy{Required: true, Precision: 0.95}, ""},
		{auto, Standing{auto, ask, 0, 3}, Policy{Agreed: 20, Precision: 0.95}, ""},
		{shadow, Standing{auto, auto, 0, 9}, p, ""},
		{ask, Standing{auto, auto, 0, 9}, p, ""},
	} {
		if got := Refusal(tc.to, tc.s, tc.p); !strings.Contains(got, tc.want) || (tc.want == "") != (got == "") {
			t.Errorf("to %s with %+v: %q, want %q", tc.to, tc.s, got, tc.want)
		}
	}
}
