package config

import (
	"os"
	"strings"
	"testing"
)

const lonePlan = `plans:
  - name: lone
    audience: [nobody-knows]
    levels:
      - approval: {groups: [strangers]}
        steps: [{uses: comand}]
`

func TestPlanFilesAreJudgedAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("p.yaml", []byte(lonePlan), 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems := LoadPlans("", []string{"p.yaml"}, fakeKinds(t))
	if want := `p.yaml:6:24: no executor "comand": did you mean "command"?`; problems.Error() != want {
		t.Errorf("got %v\nwant %s", problems, want)
	}
	if _, problems := LoadPlans("", []string{"nosuch.yaml"}, fakeKinds(t)); len(problems) != 1 || problems[0].File != "nosuch.yaml" {
		t.Errorf("a file that is not there: %v", problems)
	}
	if err := os.WriteFile("p.yaml", []byte(strings.ReplaceAll(lonePlan, "comand", "command, with: {argv: [a]}")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := LoadPlans("", []string{"p.yaml"}, fakeKinds(t))
	if problems != nil || cfg.Plans["lone"].Name != "lone" {
		t.Errorf("a good file: %v", problems)
	}
}

func TestPlanFilesAreJudgedByTheConfigsNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"p.yaml": lonePlan, "backout.yaml": "plans: [p.yaml]\n", "bad.yaml": "plasn: [p.yaml]\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, files := range [][]string{nil, {"p.yaml"}} {
		_, problems := LoadPlans("backout.yaml", files, fakeKinds(t))
		for _, part := range []string{`no audience "nobody-knows"`, `no group "strangers"`, `no executor "comand"`} {
			if !strings.Contains(problems.Error(), part) {
				t.Errorf("%v: not told: %s\n%v", files, part, problems)
			}
		}
	}
	if _, problems := LoadPlans("bad.yaml", nil, fakeKinds(t)); !strings.Contains(problems.Error(), `did you mean "plans"?`) {
		t.Errorf("%v", problems)
	}
}
