package capture_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/backout-io/backout"
	"github.com/backout-io/backout/internal/capture"
	"github.com/backout-io/backout/internal/capture/capturetest"
)

// answer is what a plain host says, with sections in place of its own.
func answer(inv backout.Inventory, sections map[string]string) []byte {
	text := string(capturetest.Answer(inv))
	for name, body := range sections {
		head, rest, ok := strings.Cut(text, "@"+name+"\n")
		_, after, whole := strings.Cut(rest, "@end 0\n")
		if !ok || !whole {
			panic("no section " + name)
		}
		text = head + "@" + name + "\n"
		for line := range strings.SplitSeq(strings.TrimSuffix(body, "\n"), "\n") {
			text += " " + line + "\n"
		}
		text += "@end 0\n" + after
	}
	return []byte(text)
}

func rpmHost(tool string) backout.Inventory {
	return backout.Inventory{Packages: backout.PackageState{Manager: "rpm", Tool: tool, Installed: []backout.Package{{Name: "bash", Version: "0:5.1-1", Arch: "x86_64"}}}}
}

// TestHistoryAndLocksOfEachFrontEnd, in the words of their manuals.
func TestHistoryAndLocksOfEachFrontEnd(t *testing.T) {
	for _, tt := range []struct {
		tool, history, held string
		want                string
	}{
		{
			"dnf5 5.2.6.2", "ID Command line                 Date and time       Action(s) Altered\n 3 dnf5 upgrade                 2026-11-26 18:00:00                12\n 2 dnf5 install 'x y'           2026-11-25 18:00:00                 1\n 1                              2026-11-01 10:00:00               310\n",
			"version = \"1.0\"\n# keep\n[[packages]]\nname = \"bash\" \ncomment = \"Added\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"=\"\nvalue = \"0:5.2.15-5.fc39\"\n[[packages]]\nname = \"iftop\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"!=\"\nvalue = \"0:1.0\"\n",
			"3 [bash evr = 0:5.2.15-5.fc39 iftop evr != 0:1.0]",
		},
		{
			"yum 3.4.3", "ID     | Login user               | Date and time    | Action(s)      | Altered\n-------------------------------------------------------------------------------\n    12 | root <root>              | 2026-11-26 18:00 | Update         |    3 EE\n    11 | root <root>              | 2026-11-20 18:00 | I, U           |   14 ><\nhistory list\n",
			"# added by root\n0:bash-4.2.46-34.el7.*\n\n", "12 [0:bash-4.2.46-34.el7.*]",
		},
		{
			"zypper 1.14.59", "date 2026-11-26 18:00:12\n",
			"\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kernel-default\nversion: > 5.14\n\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: bash*\n",
			"2026-11-26 18:00:12 [bash* kernel-default > 5.14]",
		},
	} {
		inv, err := capture.Take(t.Context(), says{text: answer(rpmHost(tt.tool), map[string]string{"history": tt.history, "held": tt.held})}, backout.BaselineSpec{})
		if got := fmt.Sprint(inv.Packages.History, " ", inv.Packages.Held); err != nil || got != tt.want {
			t.Errorf("%s: %s, %v", tt.tool, got, err)
		}
	}
	for _, odd := range []string{"Traceback (most recent call last):", "ID | Command\nsome other line", "You do not have access to the history DB."} {
		if _, err := capture.Take(t.Context(), says{text: answer(rpmHost("dnf 4.14.0"), map[string]string{"history": odd})}, backout.BaselineSpec{}); err == nil || !strings.Contains(err.Error(), "dnf 4.14.0 history says") {
			t.Errorf("%q: %v", odd, err)
		}
	}
}

func TestReadersOfLines(t *testing.T) {
	inv, err := capture.Take(t.Context(), says{text: answer(rpmHost("dnf 4.14.0"), map[string]string{
		"release": "ID='sles'\nVERSION_ID=\"15.6\"\nPRETTY_NAME=\"a \\\" b\"\n",
		"rpm":     "bash\t0:5.1-1\tx86_64\ngpg-pubkey\t0:fd431d51-4ae0493b\t(none)\nlibstdc++\t0:11.4.1-3.el9\tx86_64\na\t1:2^git~rc1-1\tnoarch",
		"sources": "bash\t0:5.1-1\tx86_64\tbaseos\nlibstdc++\t0:11.4.1-3.el9\tx86_64\t@System",
		"unit-files": "a.service enabled\nb.service static -\nalias.service alias -\nc@.service disabled enabled\nodd\\x2dname.timer generated -\nnet.target disabled\nown.target enabled enabled\n" +
			"run-r1.service transient -\ntimed.service static -\ntimed.timer enabled enabled",
		"unit-states": "* a.service loaded failed failed A\nb.service loaded reloading reload B\nc@1.service loaded active running C\nc@2.service loaded inactive dead C\ngone.service not-found inactive dead gone.service\n" +
			"sshd@3-10.0.0.1:22-10.0.0.2:5000.service loaded active running x\nrun-r1.service loaded active running x\nuser@0.service loaded active running x\nnet.target loaded active active N\n" +
			"timed.service loaded activating start T\ntimed.timer loaded active waiting T\nloop.service loaded activating auto-restart L\nonce.service loaded active exited O",
		"mounts":         "1 0 8:1 / / rw,relatime shared:1 - xfs /dev/sda1 ro,attr2\n2 1 8:2 / /srv/a\\040b\\134\\012 rw - ext4 /dev/disk\\040x rw\n3 1 0:9 / /proc rw - proc proc rw\n4 1 8:3 / /over rw - ext4 /dev/sdc rw\n5 4 0:8 / /over rw - tmpfs none rw\n6 1 0:7 / /runx rw - tmpfs none rw\n7 1 0:7 / /run/x rw - tmpfs none rw\n8 1 8:4 / /hid rw - ext4 /dev/sdd rw\n9 8 0:5 / /hid rw - autofs systemd-1 rw",
		"sockets-before": "tcp 0A 0100007F:0050\ntcp6 0A 000080FE00000000FF005450B6AD1DFE:0016\nudp 07 00000000:0044\nudp 07 00000000:FFFF\nudp 07 00000000:C000\ntcp 0A 00000000:C000\nudp6 07 00000000000000000000000000000000:2A2A",
		"sockets-after":  "udp 07 00000000:0045\ntcp 0A 0100007F:0050\ntcp 0A 0100007F:0050\ntcp6 0A 000080FE00000000FF005450B6AD1DFE:0016\nudp 07 00000000:0044\nudp 07 00000000:FFFF\nudp 07 00000000:C000\ntcp 0A 00000000:C000",
	})}, backout.BaselineSpec{})
	if err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string][2]string{
		"machine":  {inv.Machine.OS + " " + inv.Machine.Version, "sles 15.6"},
		"packages": {fmt.Sprint(inv.Packages.Installed), "[{a 1:2^git~rc1-1 noarch  } {bash 0:5.1-1 x86_64 baseos } {libstdc++ 0:11.4.1-3.el9 x86_64  }]"},
		"units": {fmt.Sprint(inv.Units), `[{a.service enabled failed} {b.service static active} {c@1.service  active} {loop.service  activating} {odd\x2dname.timer generated inactive} ` +
			`{once.service  active (exited)} {own.target enabled inactive} {timed.service static inactive} {timed.timer enabled active}]`},
		"mounts": {fmt.Sprint(inv.Mounts), `[{"/srv/a b\\\n" /dev/disk x ext4 rw} {/ /dev/sda1 xfs relatime,ro} {/over none tmpfs rw} {/runx none tmpfs rw}]`},
		"ports":  {fmt.Sprint(inv.Ports), "[{tcp fe80::5054:ff:fe1d:adb6 22} {tcp 127.0.0.1 80} {tcp 0.0.0.0 49152} {udp 0.0.0.0 68} {udp 0.0.0.0 65535}]"},
	} {
		if tt[0] != tt[1] {
			t.Errorf("%s:\n got %s\nwant %s", what, tt[0], tt[1])
		}
	}
}

// TestStatesOfDpkg: what left only its configuration is not installed, what was
// interrupted is told, and what is held is held.
func TestStatesOfDpkg(t *testing.T) {
	host := backout.Inventory{Packages: backout.PackageState{Manager: "dpkg"}}
	inv, err := capture.Take(t.Context(), says{text: answer(host, map[string]string{
		"dpkg": "ii \tdpkg\t1.21.22\tamd64\nrc \tgone\t1\tall\nun \tnever\t\t\npn \tpurged\t\t\nhi \theld\t2:1.0~rc1-1+b2\tamd64\nhi \tforeign\t1\ti386\nhi \tany\t1\tall\n" +
			"iU \tunpacked\t1\tall\niF \thalf\t1\tall\niHR\tbroken\t1\tall\nri \tleaving\t1\tall\nit \ttriggers\t1\tall\n",
	})}, backout.BaselineSpec{})
	want := "[any 1 , broken 1 iHR, dpkg 1.21.22 , foreign 1 , half 1 iF, held 2:1.0~rc1-1+b2 , leaving 1 , triggers 1 it, unpacked 1 iU]"
	var got []string
	for _, p := range inv.Packages.Installed {
		got = append(got, p.Name+" "+p.Version+" "+p.State)
	}
	if s := "[" + strings.Join(got, ", ") + "]"; err != nil || s != want {
		t.Errorf("got  %s, %v\nwant %s", s, err, want)
	}
	if s := fmt.Sprint(inv.Packages.Held); s != "[any foreign:i386 held]" {
		t.Errorf("held %s", s)
	}
}

// sound fails unless the inventory is whole and printable and the same each time, or
// there is an error and none.
func sound(t *testing.T, text []byte, spec backout.BaselineSpec) {
	t.Helper()
	inv, err := capture.Take(t.Context(), says{text: text}, spec)
	if err != nil {
		if inv.Schema != 0 || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%+v %q", inv, err)
		}
		return
	}
	var odd func(v any) bool
	odd = func(v any) bool {
		switch v := v.(type) {
		case string:
			return strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.Contains(v, "\ufffd") && !bytes.Contains(text, []byte("\ufffd"))
		case []any:
			return slices.ContainsFunc(v, odd)
		case map[string]any:
			return slices.ContainsFunc(slices.Collect(maps.Values(v)), odd)
		}
		return false
	}
	data, err := json.Marshal(inv)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil || odd(tree) {
		t.Fatalf("%s %v", data, err)
	}
	again, _ := capture.Take(t.Context(), says{text: text}, spec)
	if other, _ := json.Marshal(again); string(other) != string(data) {
		t.Fatalf("%s\n%s", data, other)
	}
	if inv.Packages.Manager != "none" && len(inv.Packages.Installed) == 0 {
		t.Fatal("no packages, and no error")
	}
}

// FuzzReaders: whatever a tool says.
func FuzzReaders(f *testing.F) {
	hosts := []backout.Inventory{rpmHost("dnf 4.14.0"), rpmHost("dnf5 5.2.6"), rpmHost("zypper 1.14.59"), {Packages: backout.PackageState{Manager: "dpkg", Installed: []backout.Package{{Name: "a", Version: "1", Arch: "all"}}}}}
	text, err := os.ReadFile("testdata/debian-12.txt")
	if err != nil {
		f.Fatal(err)
	}
	for which, inv := range hosts {
		for _, m := range regexp.MustCompile(`(?m)^@([a-z-]+)\n((?: .*\n)*)@end`).FindAllSubmatch(append(capturetest.Answer(inv), text...), -1) {
			if _, ok := tryAnswer(inv, string(m[1]), ""); ok {
				f.Add(uint8(which), string(m[1]), strings.ReplaceAll(string(m[2][:min(300, len(m[2]))]), "\n ", "\n"))
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, section, body string) {
		if text, ok := tryAnswer(hosts[int(which)%len(hosts)], section, body); ok {
			sound(t, text, backout.BaselineSpec{})
		}
	})
}

func tryAnswer(inv backout.Inventory, section, body string) ([]byte, bool) {
	if !strings.Contains(string(capturetest.Answer(inv)), "\n@"+section+"\n") || section == "" || strings.Contains(section, "\n") {
		return nil, false
	}
	return answer(inv, map[string]string{section: body}), true
}

// FuzzFrame: whatever a target answers.
func FuzzFrame(f *testing.F) {
	for _, text := range [][]byte{capturetest.Answer(backout.Inventory{}), capturetest.Answer(rpmHost(""))} {
		f.Add(text)
		f.Add(zipped(f, text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sound(t, text, asked(text)) })
}

// FuzzCheckAIDE: whatever AIDE reports is read as it is, or an error.
func FuzzCheckAIDE(f *testing.F) {
	f.Add("{\n\"outline\": \"AIDE found differences\", \"added\": {\"/a\": \"f+++\"}, \"number_of_entries\": {\"total\": 3, \"added\": 1}\n}", "", 1)
	f.Add("AIDE found differences between database and filesystem!!\n  Total number of entries:\t9\n  Added entries:\t1\nAdded entries:\n-----\nf+++: /a\n-----\n", "", 1)
	f.Add("", "WARNING: x", 0)
	f.Fuzz(func(t *testing.T, report, stderr string, code int) {
		text := capture.Name + " 1\n@version\n AIDE 0.18.3\n@end 0\n@check\n"
		for line := range strings.SplitSeq(report, "\n") {
			text += " " + line + "\n"
		}
		text += fmt.Sprintf("@end %d\n@whole\n", code)
		r, err := capture.CheckAIDE(t.Context(), says{text: []byte(text), stderr: stderr})
		if err == nil && (code < 0 || code > 7 || (code&1 != 0) != (len(r.Added) > 0) || (code&2 != 0) != (len(r.Removed) > 0) || (code&4 != 0) != (len(r.Changed) > 0)) {
			t.Fatalf("%d: %+v", code, r)
		}
	})
}
