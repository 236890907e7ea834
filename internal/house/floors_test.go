package house

import (
	"slices"
	"strings"
	"testing"
)

// floors lists the packages by floor, lowest first. A package imports lower
// floors only, so siblings never see each other. "x/*" stands for every folder
// directly below x that is not named elsewhere.
var floors = [][]string{
	{""},
	{
		"internal/rollback", "internal/change", "internal/gate", "internal/evidence", "internal/baseline", "internal/trigger", "internal/access", "internal/route", "internal/told", "internal/chart", // the pure core
		"internal/plugin", "internal/strictyaml", "internal/secret", "internal/alertwire", "internal/retry", "internal/promql", "internal/planhash", "internal/metrics", "internal/lock",
		"internal/password", "internal/auth/device",
		"internal/backup", "internal/capture", "internal/packages", "internal/btrfs", "internal/sections", "internal/tail", "internal/slackfake", "internal/exploited", "internal/told",
		"internal/host/attempt",
	},
	{"executors", "notifier", "internal/checks", "rules", "internal/bus", "internal/host/*", "internal/webconfig"},
	{"internal/itsm"},
	{"executors/*", "notifier/*", "internal/checks/*", "internal/config", "internal/store", "internal/host", "internal/ui", "internal/replay"},
	{"executors/all", "notifier/all", "internal/checks/all", "internal/runner", "internal/outbox", "handlers", "internal/ruletest"},
	{"internal/explain", "internal/authorized", "internal/tokens", "internal/slackedge"},
	{"internal/engine", "internal/auth", "internal/dashboard", "internal/client", "internal/remote", "internal/recorded"},
	{"internal/app", "internal/cli/*"},
	{"internal/demo"},
	{"internal/cli"},
	{"cmd/backout"},
}

// supports are packages that help tests: only tests and each other may import
// them, and they may import anything below cmd.
var supports = []string{
	"executors/executorstest", "notifier/notifiertest", "internal/bus/bustest", "internal/host/hosttest", "internal/simtest", "internal/host/ssh/sshtest",
	"internal/capture/capturetest", "internal/auth/authtest", "internal/house", "internal/parts", "internal/e2e", "internal/bench", "internal/bench/check", "internal/hostile", "internal/itsmfake", "internal/browsertest",
}

func floorOf(pkg string) int {
	byFolder := -1
	for i, floor := range floors {
		if slices.Contains(floor, pkg) {
			return i
		}
		if j := strings.LastIndexByte(pkg, '/'); j > 0 && slices.Contains(floor, pkg[:j]+"/*") {
			byFolder = i
		}
	}
	return byFolder
}

// TestFloors: what is lower does not know what is higher.
func TestFloors(t *testing.T) {
	for _, f := range readTree(t).code() {
		if slices.Contains(supports, f.pkg) {
			continue
		}
		from := floorOf(f.pkg)
		if from < 0 {
			t.Errorf("%s: package %s stands on no floor: add it to floors in internal/house, or to supports when it only helps tests", f.path, f.pkg)
			continue
		}
		for _, imp := range f.imports() {
			pkg, ok := own(imp)
			if !ok {
				continue
			}
			switch to := floorOf(pkg); {
			case slices.Contains(supports, pkg):
				t.Errorf("%s imports %s, which only tests may: move what is needed out of it", f.path, pkg)
			case to >= from:
				t.Errorf("%s (floor %d) imports %s (floor %d): state what is needed as an interface here, or let a higher floor put the two together",
					f.path, from, name(pkg), to)
			}
		}
	}
}

// TestHandlersStateWhatTheyNeed: what comes in over HTTP knows no store.
func TestHandlersStateWhatTheyNeed(t *testing.T) {
	for _, f := range readTree(t).code() {
		if f.pkg != "handlers" {
			continue
		}
		for _, imp := range f.imports() {
			pkg, ok := own(imp)
			if ok && slices.Contains([]string{"internal/store", "internal/bus", "internal/engine", "internal/outbox", "internal/runner"}, pkg) {
				t.Errorf("%s imports %s: handlers say what they need as small interfaces in service.go", f.path, pkg)
			}
		}
	}
}

// TestPublicPackagesCanBeImplementedOutside: their exported signatures name no
// internal package, since nobody outside could write such a plug-in.
func TestPublicPackagesCanBeImplementedOutside(t *testing.T) {
	for _, f := range readTree(t).code() {
		if strings.HasPrefix(f.pkg, "internal/") || strings.HasPrefix(f.pkg, "cmd/") {
			continue
		}
		for _, use := range exportedUsesOfInternal(f) {
			t.Errorf("%s speaks of an internal package: give the package a type of its own, or move the noun to the root", use)
		}
	}
}
