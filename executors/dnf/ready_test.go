package dnf_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/backout-io/backout"
)

func damaged(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	w.sh(t, "echo x >>/var/lib/backout/stash/CHG1/dnf/boa-0_1.0-1.noarch.rpm")
	w.refuses(t, e, task, "not what was put there: boa-0_1.0-1.noarch.rpm")
	early := task
	early.Delta = nil
	w.refuses(t, e, early, "not what was put there")
	// The repository still has it.
	w.mustExecute(t, e, w.again(task))
	w.back(t)
	w.sh(t, "echo 'x noarch 0:1-1 - -' >>/var/lib/backout/stash/CHG1/dnf/manifest")
	w.refuses(t, e, task, "the list /var/lib/backout/stash/CHG1/dnf/manifest")
}

func renews(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	e := undo(t, `{}`)
	first := w.prepare(t, e, "CHG1")
	w.sh(t, "cd /var/lib/backout/stash/CHG1/dnf; echo x >>boa-0_1.0-1.noarch.rpm; cp lib-1_1.0-1.noarch.rpm old-0_1.0-1.noarch.rpm; mkdir -p ../files-x/data; echo x >../files-x/data/1")
	again := w.prepare(t, e, "CHG1")
	if again[0].Facts["manifest"] != first[0].Facts["manifest"] {
		t.Errorf("the same packages have another list: %v, %v", first, again)
	}
	task := w.task("CHG1", nil)
	task.Prepared = again
	w.passes(t, e, task)
	if got := w.sh(t, "ls /var/lib/backout/stash/CHG1/dnf; stat -c %a /var/lib/backout/stash /var/lib/backout/stash/CHG1/dnf"); got != "boa-0_1.0-1.noarch.rpm\nlib-1_1.0-1.noarch.rpm\nmanifest\n700\n700\n" {
		t.Errorf("kept: %s", got)
	}
	// Another step of the change keeps files too.
	if got := w.sh(t, "ls /var/lib/backout/stash/CHG1/files-x/data; rm -r /var/lib/backout/stash/CHG1/files-x"); got != "1\n" {
		t.Errorf("of another step's files are left: %q", got)
	}
	// What is kept already needs no repository.
	w.offer(t, other, boa2, lib2, fresh)
	w.prepare(t, e, "CHG1")
}

func rebuilt(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.sh(t, "rm -f /srv/rpms/boa-1.0-1.noarch.rpm")
	forged := boa1
	forged.Post = "print('forged')"
	w.offer(t, forged, lib1, other, boa2, lib2, fresh)
	var out bytes.Buffer
	_, err := undo(t, `{}`).Prepare(t.Context(), w.task("CHG1", nil), w.h, &out)
	if err == nil || !strings.Contains(err.Error(), "boa-0:1.0-1.noarch is not the package that is installed") {
		t.Errorf("%v\n%s", err, &out)
	}
	w.sh(t, "rm -f /srv/rpms/boa-1.0-1.noarch.rpm")
}

// hidden moves a plugin away while the test runs.
func (w *world) hidden(t *testing.T, plugin string) {
	t.Helper()
	const dir = "/usr/lib/python3/dist-packages/dnf-plugins/"
	w.sh(t, "mv "+dir+plugin+" /srv/"+plugin)
	t.Cleanup(func() { w.sh(t, "mv /srv/"+plugin+" "+dir+plugin) })
}

func noVersionlock(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	w.hidden(t, "versionlock.py")
	w.refuses(t, undo(t, `{}`), w.task("CHG1", nil), "nothing would keep the patch from coming back: dnf 4.", "python3-dnf-plugin-versionlock")
	w.passes(t, undo(t, `{"hold": false}`), w.task("CHG1", nil))
	task := w.task("CHG1", w.patch(t, "dnf -q -y upgrade"))
	if _, _, err := w.execute(t, undo(t, `{}`), task); err == nil || !strings.Contains(err.Error(), "not locked") {
		t.Errorf("execute: %v", err)
	}
	w.back(t)
	w.probe(t, undo(t, `{}`), task, backout.ProbeBroken)
	w.probe(t, undo(t, `{"hold": false}`), task, backout.ProbeDone)
}

func noDownload(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh)
	w.hidden(t, "download.py")
	w.refuses(t, undo(t, `{}`), w.task("CHG1", nil), "cannot download packages", "dnf-plugins-core")
	w.passes(t, undo(t, `{"stash": false}`), w.task("CHG1", nil))
}

func lockBefore(t *testing.T, w *world) {
	e := undo(t, `{}`)
	task := patched(t, w, e, "CHG1")
	w.write(t, "etc/dnf/plugins/versionlock.list", "# mine\n!boa-0:2.0-1.*\nother-0:1.0-1.*\n")
	o, _ := w.mustExecute(t, e, task)
	if got := strings.Join(o.Held, " "); got != "!fresh-0:2.0-1.* !lib-1:2.0-1.*" {
		t.Errorf("held: %s", got)
	}
	// Another change that locks the same keeps it when the first one releases.
	second := w.again(task)
	second.ChangeID, second.Prepared = "CHG2", nil
	if o, _ := w.mustExecute(t, e, second); len(o.Held) != 2 {
		t.Errorf("held by the second: %v", o.Held)
	}
	const mine = "# mine\n!boa-0:2.0-1.*\nother-0:1.0-1.*\n"
	for _, step := range []struct{ change, want string }{{"CHG1", mine + "!fresh-0:2.0-1.*\n!lib-1:2.0-1.*\n"}, {"CHG2", mine}} {
		if err := e.Release(t.Context(), w.task(step.change, nil), w.h, io.Discard); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(strings.TrimSpace(w.read(t, "etc/dnf/plugins/versionlock.list")), "\n")
		want := strings.Split(strings.TrimSpace(step.want), "\n")
		slices.Sort(got[3:])
		slices.Sort(want[3:])
		if !slices.Equal(got, want) {
			t.Errorf("after the release of %s: %q, want %q", step.change, got, want)
		}
	}
}

func nothingPending(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.refuses(t, undo(t, `{}`), w.task("CHG1", nil), "nothing of the patch", "packages: [...]")
	w.refuses(t, undo(t, `{"packages": ["nosuch*"]}`), w.task("CHG1", nil), "no installed package is called nosuch*")
	e := undo(t, `{"packages": ["bo?", "lib*"]}`)
	w.passes(t, e, w.task("CHG1", nil))
	prepared := w.prepare(t, e, "CHG1")
	if prepared[0].Facts["packages"] != "2" {
		t.Errorf("prepared: %v", prepared)
	}
	// A package that the patch names and nobody has.
	task := w.task("CHG1", nil)
	task.Patch = backout.Patch{Kind: "packages", IDs: []string{"nosuch-2.0-1"}}
	w.refuses(t, undo(t, `{}`), task, "cannot say what the patch will do", "nosuch-2.0-1")
}

func advisory(t *testing.T, w *world) {
	w.fresh(t, boa1, other)
	other2 := rpm{Name: "other", Version: "2.0"}
	w.offer(t, boa1, other, boa2, other2)
	w.write(t, "srv/updateinfo.xml", `<?xml version="1.0"?><updates><update from="a" status="stable" type="security" version="1"><id>RHSA-2026:1001</id><title>boa</title>
<release>9</release><issued date="2026-11-01 00:00:00"/><description>d</description><pkglist><collection short="b"><name>b</name>
<package name="boa" version="2.0" release="1" epoch="0" arch="noarch" src="boa-2.0-1.src.rpm"><filename>boa-2.0-1.noarch.rpm</filename></package>
</collection></pkglist></update></updates>`)
	w.sh(t, "modifyrepo_c --mdtype=updateinfo /srv/updateinfo.xml /srv/repo/repodata >/dev/null && rm -rf /var/cache/dnf/base*")
	task := w.task("CHG1", nil)
	task.Patch = backout.Patch{Kind: "advisory", IDs: []string{"RHSA-2026:1001"}}
	e := undo(t, `{}`)
	w.passes(t, e, task)
	p, err := e.Prepare(t.Context(), task, w.h, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if list := w.read(t, p.Facts["folder"]+"/manifest"); p.Facts["packages"] != "1" || !strings.HasPrefix(list, "boa noarch 0:1.0-1 ") {
		t.Errorf("kept: %s", list)
	}
	task.Patch.IDs = []string{"RHSA-2026:9999"}
	w.refuses(t, e, task, "nothing of the patch")
}

func ofPackages(t *testing.T, w *world) {
	w.fresh(t, boa1, lib1, other)
	w.offer(t, boa1, lib1, other, boa2, lib2, fresh, rpm{Name: "other", Version: "2.0"})
	e := undo(t, `{}`)
	task := w.task("CHG1", nil)
	task.Patch = backout.Patch{Kind: "packages", IDs: []string{"lib-1:2.0-1.noarch"}}
	w.passes(t, e, task)
	p, err := e.Prepare(t.Context(), task, w.h, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if list := w.read(t, p.Facts["folder"]+"/manifest"); p.Facts["packages"] != "2" || !strings.HasPrefix(list, "boa ") || !strings.Contains(list, "\nlib ") {
		t.Errorf("kept: %s", list)
	}
}
