package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/backout-io/backout"
	buttons "github.com/backout-io/backout/notifier/slack"
)

// What the three audiences hear of the rollback, in this order and each of it once:
// what subjects begin with, and the moments. Slack shows the first in the card.
var (
	nightSubjects = []string{
		"RED: ShopDown on web-1", "DECIDE.*: may L1 start", "L1 has started", "OPEN AGAIN: CVE-2026-0001", "L1 did not help",
		"DECIDE.*: may L2 start", "L2 has started", "RECOVERED by L2",
	}
	nightMoments = []backout.Moment{
		backout.MomentRed, backout.MomentApproval, backout.MomentLevelStarted, backout.MomentReopened, backout.MomentEscalated,
		backout.MomentApproval, backout.MomentLevelStarted, backout.MomentRecovered,
	}
)

// eachOnce waits for texts that begin with these subjects, in order and no others.
func (n *night) eachOnce(where string, told func() []string, want []string) {
	t := n.t
	t.Helper()
	var got []string
	eventually(t, 90*time.Second, where+" has all of it", func() error {
		got = nil
		for _, text := range told() {
			first, _, _ := strings.Cut(strings.TrimPrefix(text, "["+n.change+"] "), "\n")
			got = append(got, first)
		}
		if len(got) < len(want) {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
	if !slices.EqualFunc(got, want, func(got, want string) bool { return regexp.MustCompile("^" + want).MatchString(got) }) {
		t.Errorf("%s has\n%s\nwant\n%s", where, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// slackShows: the one card has the end and no buttons, its thread the progress.
func (n *night) slackShows(id string) {
	t := n.t
	t.Helper()
	card := n.cardSays("has recovered: all of 1 target back", id)
	for _, gone := range []string{buttons.ActionApprove, buttons.ActionHold, buttons.ActionDeny, buttons.ActionEscalate} {
		if slices.Contains(card.Buttons(), gone) {
			t.Errorf("the button %s is still there", gone)
		}
	}
	n.eachOnce("the card's thread", n.thread, nightSubjects[1:])
}

// deskShows: ServiceNow has the plan with its digest, each level and the end; before is
// what it has of the time before the rollback.
func (n *night) deskShows(srv *server, id string, before ...string) {
	t := n.t
	t.Helper()
	notes := func(ofRollback bool) func() []string {
		return func() []string {
			return slices.DeleteFunc(n.desk.Change(n.change).Notes, func(note string) bool {
				return strings.Contains(note, "\nbackout notice "+id+".") != ofRollback
			})
		}
	}
	n.eachOnce("ServiceNow", notes(true), nightSubjects)
	if all := strings.Join(notes(true)(), "\n"); !regexp.MustCompile(`approved by bob \((slack|cli)\), cel \((slack|cli)\)`).MatchString(all) {
		t.Errorf("ServiceNow does not say who approved L2:\n%s", all)
	}
	n.eachOnce("ServiceNow, of the window,", notes(false), append(before, "The window is closed"))
	eventually(t, 30*time.Second, "ServiceNow has a close code", func() error { return notYet(n.desk.Change(n.change).Columns["close_code"] != "") })
	r, err := srv.client.Rollback(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	columns := n.desk.Change(n.change).Columns
	for _, want := range []string{"Call Ana.", r.Frozen.Hash, "L1 uninstall the patch: uninstall (command)", "L2 restore the snapshot: restore (command)"} {
		if !strings.Contains(columns["backout_plan"], want) {
			t.Errorf("backout_plan does not say %q:\n%s", want, columns["backout_plan"])
		}
	}
	if columns["close_code"] != "unsuccessful" || columns["approval"] != "approved" || columns["state"] != "-2" {
		t.Errorf("change request %+v", columns)
	}
	all := n.desk.Incidents()
	if len(all) != 1 || all[0].Columns["caused_by"] != columns["sys_id"] || !strings.Contains(all[0].Columns["description"], "ShopDown") {
		t.Fatalf("incidents %+v", all)
	}
	if notes := strings.Join(all[0].Notes, "\n"); !strings.Contains(notes, "RECOVERED by L2") {
		t.Errorf("the incident does not have the end: %s", notes)
	}
}

var (
	mailMoment = regexp.MustCompile(`(?m)^X-Backout-Moment: (\w+)$`)
	mailPlain  = regexp.MustCompile(`(?s)Content-Type: text/plain; charset=UTF-8\n\n(.*?)\n--`)
)

// mailShows: the stakeholders read each moment in plain words, without a command.
func (n *night) mailShows() {
	t := n.t
	t.Helper()
	eventually(t, 90*time.Second, "every mail is there", func() error { return notYet(len(mails(n.mail)) >= len(nightMoments)) })
	var got []backout.Moment
	for _, m := range inTheirOrder(n.mail) {
		moment, text := mailMoment.FindStringSubmatch(m), mailPlain.FindStringSubmatch(m)
		if moment == nil || text == nil || !strings.Contains(m, "To: <head@example.com>") {
			t.Fatalf("mail without moment or text:\n%s", m)
		}
		got = append(got, backout.Moment(moment[1]))
		plain := strings.ReplaceAll(text[1], "=\n", "")
		if strings.Contains(plain, "backout rollback") || !strings.Contains(plain, n.change) {
			t.Errorf("not in plain words:\n%s", plain)
		}
	}
	if !slices.Equal(got, nightMoments) {
		t.Errorf("mails %q, want %q", got, nightMoments)
	}
}

// inTheirOrder is mails, in the order in which they came.
func inTheirOrder(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "mail.*"))
	came := func(path string) int64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(came(a), came(b)) })
	var out []string
	for _, f := range files {
		out = append(out, strings.ReplaceAll(read(f), "\r\n", "\n"))
	}
	return out
}
