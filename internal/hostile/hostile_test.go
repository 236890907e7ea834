package hostile

import "testing"

// TestThereAreEnough: at least 200, each once, and of every kind.
func TestThereAreEnough(t *testing.T) {
	all := All()
	if len(all) < 200 {
		t.Errorf("only %d texts", len(all))
	}
	seen, kinds := map[string]bool{}, map[Kind]int{}
	for _, text := range all {
		if text.Text == "" || seen[text.Text] {
			t.Errorf("%s: %.40q is empty or there twice", text.Kind, text.Text)
		}
		seen[text.Text] = true
		kinds[text.Kind]++
	}
	for _, k := range []Kind{
		Mention, Link, Inside, Markup, HTML, Header, Template, Data, Shell, PowerShell, Formula, Path, Terminal, Direction, Invisible, Encoding, Line, Long,
	} {
		if kinds[k] < 5 {
			t.Errorf("only %d texts of kind %s", kinds[k], k)
		}
	}
	if len(Strings()) != len(all) || len(Strings(Shell, Path)) != kinds[Shell]+kinds[Path] {
		t.Error("Strings does not choose by kind")
	}
}
