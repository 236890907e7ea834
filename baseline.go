package backout

import (
	"cmp"
	"slices"
	"time"
)

// Inventory is what one look at a target found: what a patch can change, and a
// rollback must bring back. It is canonical: every list is sorted and no time of
// the look is in it, so the same state has the same digest. It is whole or there
// is none: a part that could not be read is an error of the look, never an empty
// list.
type Inventory struct {
	// Schema is the version of this form, 1.
	Schema  int     `json:"schema"`
	Machine Machine `json:"machine"`
	// Without names the parts that the plan leaves out.
	Without  []string     `json:"without,omitempty"`
	Packages PackageState `json:"packages"`
	Units    []Unit       `json:"units,omitempty"`
	Ports    []Port       `json:"ports,omitempty"`
	Mounts   []Mount      `json:"mounts,omitempty"`
	// Accounts are digests of what says who may log in and become root: passwd,
	// group, and each file of sudoers.
	Accounts []FileState `json:"accounts,omitempty"`
	// Files are the plan's chosen files.
	Files []FileState `json:"files,omitempty"`
	// AIDE is nil where AIDE is not, or the plan leaves it out.
	AIDE *AIDEState `json:"aide,omitempty"`
}

// Sort brings every list into its one order.
func (i *Inventory) Sort() {
	slices.Sort(i.Without)
	slices.Sort(i.Packages.Held)
	slices.SortFunc(i.Packages.Installed, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Version, b.Version), cmp.Compare(a.State, b.State),
			cmp.Compare(a.Repository, b.Repository))
	})
	slices.SortFunc(i.Units, func(a, b Unit) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(i.Ports, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Address, b.Address))
	})
	slices.SortFunc(i.Mounts, func(a, b Mount) int { return cmp.Compare(a.Path, b.Path) })
	byPath := func(a, b FileState) int { return cmp.Compare(a.Path, b.Path) }
	slices.SortFunc(i.Accounts, byPath)
	slices.SortFunc(i.Files, byPath)
}

// The parts of an [Inventory] that a plan may leave out. Machine and packages are
// always looked at.
const (
	PartUnits    = "units"
	PartPorts    = "ports"
	PartMounts   = "mounts"
	PartAccounts = "accounts"
	PartFiles    = "files"
	PartAIDE     = "aide"
)

// Machine says which system it is and what it runs on now.
type Machine struct {
	Hostname  string `json:"hostname"`
	MachineID string `json:"machine_id,omitempty"`
	// OS and Version are ID and VERSION_ID of os-release(5).
	OS      string `json:"os"`
	Version string `json:"version,omitempty"`
	Arch    string `json:"arch"`
	// Kernel is the running release, and Build which build of it: an update may keep
	// the release. BootID changes with each boot.
	Kernel string `json:"kernel"`
	Build  string `json:"build,omitempty"`
	BootID string `json:"boot_id"`
	// Init is systemd where it runs, else other; units are known of systemd only.
	Init string `json:"init"`
	// Cmdline is the digest of the kernel's command line.
	Cmdline string `json:"cmdline,omitempty"`
}

// PackageState is what the package manager knows.
type PackageState struct {
	// Manager is rpm, dpkg, or none where neither is.
	Manager string `json:"manager"`
	// Tool is the front end with its version ("dnf 4.14.0", "apt 2.6.1",
	// "zypper 1.14.59"); empty where there is none.
	Tool string `json:"tool,omitempty"`
	// History is the position in the front end's history: the number of the last
	// transaction of dnf, the last Start-Date of apt.
	History   string    `json:"history,omitempty"`
	Installed []Package `json:"installed,omitempty"`
	// Held are the front end's own locks, as it prints them.
	Held []string `json:"held,omitempty"`
}

// Package is one installed package.
type Package struct {
	Name string `json:"name"`
	// Version is whole: "epoch:version-release" for rpm with epoch 0 written out,
	// the version of dpkg as it is.
	Version string `json:"version"`
	Arch    string `json:"arch"`
	// Repository is where it came from, as far as the target knows.
	Repository string `json:"repository,omitempty"`
	// State is empty when it is installed whole; else what dpkg says ("iU").
	State string `json:"state,omitempty"`
}

// Unit is one unit of systemd.
type Unit struct {
	Name    string `json:"name"`
	Enabled string `json:"enabled,omitempty"`
	// Active is active, inactive, failed and so on; "active (exited)" of what has
	// done its work and left nothing running.
	Active string `json:"active,omitempty"`
}

// Port is one listening socket.
type Port struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	Port     int    `json:"port"`
}

// Mount is one mounted file system.
type Mount struct {
	Path    string `json:"path"`
	Source  string `json:"source"`
	Type    string `json:"type"`
	Options string `json:"options,omitempty"`
}

// FileState is one file by its content.
type FileState struct {
	Path string `json:"path"`
	// SHA256 is the hex digest of a regular file's content; empty when Kind is
	// not file.
	SHA256 string `json:"sha256,omitempty"`
	// Kind is file, link or absent. Target is where a link leads.
	Kind   string `json:"kind"`
	Target string `json:"target,omitempty"`
	// Mode is octal, as chmod(1) takes it; Owner is "uid:gid".
	Mode  string `json:"mode,omitempty"`
	Owner string `json:"owner,omitempty"`
}

// AIDEState is what AIDE of the target compares with.
type AIDEState struct {
	Version string `json:"version"`
	// Database is the digest of the database as it was at the baseline; the
	// report of a later check counts only against the same one.
	Database string `json:"database"`
	// Report is what its check found at this look.
	Report *AIDEReport `json:"report,omitempty"`
}

// AIDEReport are the differences that AIDE reports.
type AIDEReport struct {
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Changed []string `json:"changed,omitempty"`
}

// Baseline is what a target was before the patch. It is immutable and stored under
// the digest of its content.
type Baseline struct {
	ChangeID  string    `json:"change_id"`
	Target    string    `json:"target"`
	Inventory Inventory `json:"inventory"`
	// Prepared is what was made on the target for the way back.
	Prepared []Prepared `json:"prepared,omitempty"`
}

// Prepared is what one step made for the way back before the patch: kept packages,
// a snapshot.
type Prepared struct {
	// Uses is the executor that made it.
	Uses string `json:"uses"`
	// Facts are the executor's own: a snapshot's uuid, a folder.
	Facts map[string]string `json:"facts,omitempty"`
}

// Delta is exactly what the patch changed on a target: the baseline compared with
// the state right after patching. L1 undoes it.
type Delta struct {
	Target string `json:"target"`
	// Baseline and Patched are the digests of what was compared.
	Baseline string `json:"baseline"`
	Patched  string `json:"patched"`
	Manager  string `json:"manager"`
	// Packages are sorted by name, arch and versions.
	Packages []PackageChange `json:"packages,omitempty"`
	// HistoryFrom is the last transaction before the patch, HistoryTo that after.
	HistoryFrom string `json:"history_from,omitempty"`
	HistoryTo   string `json:"history_to,omitempty"`
	// Differences are all other ones.
	Differences []Difference `json:"differences,omitempty"`
}

// PackageChange is one package that differs. From is empty when the patch added
// it, To when it removed it; of a package that may be installed in several
// versions (a kernel) each version is one change.
type PackageChange struct {
	Name string `json:"name"`
	Arch string `json:"arch"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Difference is one thing that differs, in words: what it was and what it is now.
type Difference struct {
	// Part is packages, machine, or one of the Part constants.
	Part string `json:"part"`
	Name string `json:"name"`
	Was  string `json:"was,omitempty"`
	Now  string `json:"now,omitempty"`
	// Ignored names the rule by which it is expected; empty when it is not.
	Ignored string `json:"ignored,omitempty"`
}

// DriftVerdict is what a drift check says of a target.
type DriftVerdict string

// The values of [DriftVerdict].
const (
	// DriftNone: back to baseline, but for what is expected to differ.
	DriftNone DriftVerdict = "back_to_baseline"
	// DriftSome: the patch is gone and nothing that served is missing, but the
	// target differs from its baseline.
	DriftSome DriftVerdict = "healthy_but_drifted"
	// DriftNotBack: the patch, or a part of it, is still there, or a unit, port or
	// mount of the baseline is not.
	DriftNotBack DriftVerdict = "not_back"
)

// Drift is the baseline of a target compared with its state at one time.
type Drift struct {
	ChangeID string       `json:"change_id"`
	Target   string       `json:"target"`
	At       time.Time    `json:"at"`
	Verdict  DriftVerdict `json:"verdict"`
	// Baseline and Now are the digests of what was compared.
	Baseline string `json:"baseline"`
	Now      string `json:"now"`
	// Differences are sorted: those that count, then those that are expected.
	Differences []Difference `json:"differences,omitempty"`
}

// DriftFound is a drift check as a rollback remembers it.
type DriftFound struct {
	Verdict DriftVerdict `json:"verdict"`
	// Report is the digest under which the [Drift] is stored.
	Report string `json:"report"`
	// Summary says the differences that count in a few words.
	Summary string `json:"summary,omitempty"`
}

// Hold keeps the patch from coming back to a target by itself.
type Hold struct {
	ChangeID   string `json:"change_id"`
	RollbackID string `json:"rollback_id"`
	Target     string `json:"target"`
	// Packages are what is held, as the package manager's own lock calls it.
	Packages []string  `json:"packages"`
	PlacedAt time.Time `json:"placed_at"`
	// ReleasedAt, ReleasedBy and Reason are set once it is released.
	ReleasedAt time.Time `json:"released_at,omitzero"`
	ReleasedBy string    `json:"released_by,omitempty"`
	Reason     string    `json:"reason,omitempty"`
}
