package ui

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/hostile"
)

// notBack is a target that a rollback did not bring back.
func notBack() *backout.Drift {
	const mount = "xfs on /dev/mapper/vg0-shop (%s,relatime,attr2,inode64,logbufs=8,logbsize=32k,noquota,seclabel)"
	return &backout.Drift{
		ChangeID: "CHG1", Target: "web-7", At: now, Verdict: backout.DriftNotBack, Baseline: "sha256:aa", Now: "sha256:bb",
		Differences: []backout.Difference{
			{Part: "packages", Name: "nginx.x86_64", Was: "1:1.20.1-14.el9", Now: "1:1.22.0-1.el9"},
			{Part: "units", Name: "nginx.service", Was: "active, enabled", Now: "failed, enabled"},
			{Part: "ports", Name: "tcp/0.0.0.0:443", Was: "listening"},
			{Part: "packages", Name: "libnghttp2.x86_64", Now: "0:1.43.0-5.el9"},
			{Part: "mounts", Name: "/srv/shop", Was: fmt.Sprintf(mount, "rw"), Now: fmt.Sprintf(mount, "ro")},
			{Part: "files", Name: "/etc/nginx/legacy.conf", Was: "sha256 0badcafe, mode 0644, owner 0:0", Now: "absent"},
			{Part: "machine", Name: "boot_id", Was: "5b1f", Now: "9aa3", Ignored: "machine boot_id: it changes with each boot"},
		},
	}
}

// TestDriftIsADifferenceThatIsRead: by parts, what counts before what is expected, each
// as it was and as it is, with what differs marked.
func TestDriftIsADifferenceThatIsRead(t *testing.T) {
	d := Drift{Digest: "sha256:cc", ChangeTitle: "nginx", Rollbacks: []string{"CHG1-r1"}}
	d.Differ(notBack(), "")
	var got []string
	for _, part := range append(d.Counts, d.Expected...) {
		got = append(got, fmt.Sprintf("%s: %d", part.Heading, part.Count))
		for _, row := range part.Rows {
			got = append(got, fmt.Sprintf("  %s %s: %s -> %s %s", row.State, row.Name, marked(row.Was), marked(row.Now), row.Expected))
		}
	}
	want := `
Packages: 2
  changed nginx.x86_64: 1:1.20.1-14.el9 -> 1:1.22.0-1.el9 
  added libnghttp2.x86_64: not there -> 0:1.43.0-5.el9 
Units: 1
  changed nginx.service: [active], enabled -> [failed], enabled 
Ports: 1
  removed tcp/0.0.0.0:443: listening -> gone 
Mounts: 1
  changed /srv/shop: …n /dev/mapper/vg0-shop ([rw],relatime,attr2,inode64,… (whole) -> …n /dev/mapper/vg0-shop ([ro],relatime,attr2,inode64,… (whole) 
Files and config: 1
  removed /etc/nginx/legacy.conf: sha256 0badcafe, mode 0644, owner 0:0 -> gone 
System: 1
  changed boot_id: 5b1f -> 9aa3 machine boot_id: it changes with each boot`
	if diff := cmp.Diff(strings.TrimSpace(want), strings.Join(got, "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	page := render(t, Frame{}, d)
	wants(t, page, "web-7", "not back", "6 differences that count", "1 difference is expected", "it changes with each boot",
		`href="/changes/CHG1"`, `href="/rollbacks/CHG1-r1"`, `href="/api/v1/drift/sha256:cc"`, "<mark>failed</mark>", "logbsize=32k")
	if strings.Index(page, "nginx.x86_64") > strings.Index(page, "expected</h2>") {
		t.Error("what is expected stands before what counts")
	}
}

func marked(v DriftValue) string {
	var b strings.Builder
	for _, p := range v.Pieces {
		if p.Differs {
			b.WriteString("[" + p.Text + "]")
		} else {
			b.WriteString(p.Text)
		}
	}
	if v.Whole != "" {
		b.WriteString(" (whole)")
	}
	return b.String()
}

// TestManyDifferencesStayReadable: ten thousand files neither hide the one port nor make a
// page that nobody can load, and how many more there are is said.
func TestManyDifferencesStayReadable(t *testing.T) {
	report := notBack()
	for i := range 10000 {
		report.Differences = append(report.Differences, backout.Difference{Part: "files", Name: fmt.Sprintf("/var/lib/shop/%05d", i), Was: "sha256 0badcafe, mode 0644, owner 0:0", Now: "absent"})
	}
	d := Drift{Digest: "sha256:cc"}
	d.Differ(report, "")
	page := render(t, Frame{}, d)
	wants(t, page, "10006 differences", "tcp/0.0.0.0:443", "and 9961 more", `href="/drift/sha256:cc?part=files"`)
	if len(page) > 100<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
	alone := Drift{Digest: "sha256:cc"}
	alone.Differ(report, "files")
	page = render(t, Frame{}, alone)
	wants(t, page, "and 9001 more", "all of it as JSON", `href="/drift/sha256:cc"`, "/var/lib/shop/00998")
	if strings.Contains(page, "tcp/0.0.0.0:443") {
		t.Error("one part alone has another")
	}
}

// TestValuesAreNeitherLostNorTooLong: whatever a value is, what is shown of it is short,
// and the whole is there.
func TestValuesAreNeitherLostNorTooLong(t *testing.T) {
	for _, text := range hostile.Strings() {
		for _, other := range []string{"", "active, enabled", text + ", more", strings.ToUpper(text)} {
			v := driftValue(text, tokens(text), tokens(other), "not there")
			shown := ""
			for _, p := range v.Pieces {
				shown += p.Text
			}
			switch n := utf8.RuneCountInString(shown); {
			case absent(text):
			case v.Whole == "" && shown != text:
				t.Errorf("%.60q is shown as %.60q", text, shown)
			case v.Whole != "" && v.Whole != text:
				t.Errorf("the whole of %.60q is %.60q", text, v.Whole)
			case n > longest+len(v.Pieces)*2:
				t.Errorf("%.60q is shown with %d characters", text, n)
			}
		}
	}
}

var element = regexp.MustCompile(`</?[a-z]+`)

// TestHostileDifferencesMakeNoElements: of values of the same shape the page has the same
// elements, whatever is in them.
func TestHostileDifferencesMakeNoElements(t *testing.T) {
	show := func(text string) string {
		d := Drift{}
		d.Differ(&backout.Drift{Differences: []backout.Difference{{Part: "files", Name: text, Was: text + ", one", Now: text + ", two", Ignored: text}}}, "")
		return render(t, Frame{}, d)
	}
	want := element.FindAllString(show("plain"), -1)
	for _, text := range hostile.Strings() {
		text = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" ,()", r) {
				return -1 // it would be of another shape
			}
			return r
		}, text)
		if text = string([]rune(text)[:min(30, utf8.RuneCountInString(text))]); text == "" {
			continue
		}
		if diff := cmp.Diff(want, element.FindAllString(show(text), -1)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
