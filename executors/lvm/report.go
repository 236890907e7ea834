package lvm

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backout-io/backout"
)

//go:embed look.sh
var lookScript string

// report is one look at a target.
type report struct {
	Boot     string
	Kernel   string
	Now      time.Time
	Uptime   time.Duration
	LVs      []lv
	VGs      map[string]vg
	Mounts   []mount
	Swaps    []string
	Written  map[string]int64 // by device, bytes since boot
	Markers  map[string]bool  // "pre /var"
	Settings map[string]string
}

// lv is one logical volume, in the words of lvs: every value is text, empty or
// "unknown" where it does not apply.
type lv struct {
	VG       string `json:"vg_name"`
	Name     string `json:"lv_name"` // without the brackets of a hidden one
	UUID     string `json:"lv_uuid"`
	Attr     string `json:"lv_attr"`
	Size     string `json:"lv_size"`
	Origin   string `json:"origin"`
	OriginID string `json:"origin_uuid"`
	Tags     string `json:"lv_tags"`
	Pool     string `json:"pool_lv"`
	Snap     string `json:"snap_percent"`
	Data     string `json:"data_percent"`
	Metadata string `json:"metadata_percent"`
	Merging  string `json:"lv_merging"`
	Invalid  string `json:"lv_snapshot_invalid"`
	Failed   string `json:"lv_merge_failed"`
	Open     string `json:"lv_device_open"`
	Active   string `json:"lv_active"`
	Major    string `json:"lv_kernel_major"`
	Minor    string `json:"lv_kernel_minor"`
	Free     string `json:"vg_free"`
	Extent   string `json:"vg_extent_size"`
}

func (v lv) full() string   { return v.VG + "/" + v.Name }
func (v lv) device() string { return v.Major + ":" + v.Minor }
func (v lv) thin() bool     { return strings.HasPrefix(v.Attr, "V") || v.Pool != "" }
func (v lv) merging() bool  { return v.Merging == "merging" || strings.HasPrefix(v.Attr, "S") }
func (v lv) open() bool     { return v.Open == "open" }

// invalid tells whether a snapshot has overflowed: I in the fifth place, or the
// field of its own.
func (v lv) invalid() bool {
	return len(v.Attr) > 4 && (v.Attr[4] == 'I' || v.Attr[4] == 'S') || v.Invalid != "" && v.Invalid != "unknown"
}

func (v lv) mergeFailed() bool {
	return len(v.Attr) > 4 && (v.Attr[4] == 'm' || v.Attr[4] == 'M') || v.Failed != "" && v.Failed != "unknown"
}

func (v lv) bytes() int64 {
	n, _ := strconv.ParseInt(v.Size, 10, 64)
	return n
}

func (v lv) tagged(tag string) bool {
	for _, t := range strings.Split(v.Tags, ",") {
		if t == tag {
			return true
		}
	}
	return false
}

type vg struct{ Free, Extent int64 }

type mount struct{ Device, Root, Point, Source string }

// What look looks at beside LVM.
const (
	onlyLVM = ""
	more    = "more" // what extends a snapshot, and what the next boot takes
	boot    = "boot" // and what its initramfs can
)

// look takes one look, in one round trip.
func look(ctx context.Context, h backout.Host, changeID, what string) (*report, error) {
	r, err := h.Run(ctx, backout.Exec{Argv: []string{"sh", "-c", lookScript, "sh", changeID, what}})
	if err != nil {
		return nil, fmt.Errorf("look at LVM: %w", err)
	}
	if r.ExitCode != 0 {
		return nil, fmt.Errorf("look at LVM: exit code %d: %s", r.ExitCode, strings.TrimSpace(string(r.Stderr)))
	}
	rep, err := parse(string(r.Stdout))
	if errors.Is(err, errUnknownForm) {
		v, _ := h.Run(ctx, backout.Exec{Argv: []string{"lvm", "version"}})
		_, version, _ := strings.Cut(string(v.Stdout), "LVM version:")
		version, _, _ = strings.Cut(version, "\n")
		return nil, fmt.Errorf("read lvs of LVM %s: %w", strings.TrimSpace(version), err)
	}
	return rep, err
}

// errUnknownForm says that lvs has said something in a form that is not known.
var errUnknownForm = errors.New("a form that is not known")

// errMissing says that the target has no LVM.
var errMissing = errors.New("lvm2 is not installed on the target")

// parse reads what look.sh has printed. What is not whole is an error.
func parse(said string) (*report, error) {
	sections := map[string]string{}
	name := ""
	lines := bufio.NewScanner(strings.NewReader(said))
	lines.Buffer(nil, 2<<20)
	for lines.Scan() {
		if s, ok := strings.CutPrefix(lines.Text(), "=backout "); ok {
			name = s
			sections[name] = ""
			continue
		}
		sections[name] += lines.Text() + "\n"
	}
	if _, ok := sections["missing"]; ok {
		return nil, errMissing
	}
	if why, ok := sections["failed"]; ok {
		return nil, fmt.Errorf("look at LVM: %s", strings.TrimSpace(why))
	}
	if _, ok := sections["end"]; !ok || lines.Err() != nil {
		return nil, fmt.Errorf("look at LVM: the answer is not whole (%d bytes)", len(said))
	}
	r := &report{
		Boot: strings.TrimSpace(sections["boot"]), Kernel: strings.TrimSpace(sections["kernel"]), Swaps: strings.Fields(sections["swaps"]),
		VGs: map[string]vg{}, Written: map[string]int64{}, Markers: map[string]bool{}, Settings: map[string]string{},
	}
	if err := r.times(sections["now"], sections["uptime"]); err != nil {
		return nil, err
	}
	if err := r.volumes(sections["lvs"]); err != nil {
		return nil, err
	}
	r.system(sections)
	if r.Boot == "" || r.Kernel == "" || len(r.Mounts) == 0 {
		return nil, fmt.Errorf("look at LVM: the target does not tell boot id, kernel and mounts")
	}
	return r, nil
}

func (r *report) times(now, uptime string) error {
	seconds, err := strconv.ParseInt(strings.TrimSpace(now), 10, 64)
	if err != nil {
		return fmt.Errorf("look at LVM: the target's time: %w", err)
	}
	r.Now = time.Unix(seconds, 0).UTC()
	if f := strings.Fields(uptime); len(f) > 0 {
		if s, err := strconv.ParseFloat(f[0], 64); err == nil {
			r.Uptime = time.Duration(s * float64(time.Second))
		}
	}
	return nil
}

// volumes reads the report of lvs. Warnings may stand before the JSON.
func (r *report) volumes(lvs string) error {
	var said struct {
		Report []struct {
			LV []lv `json:"lv"`
		} `json:"report"`
	}
	at := strings.Index(lvs, "{")
	if at < 0 {
		return fmt.Errorf("%w: no JSON in %q", errUnknownForm, lvs)
	}
	if err := json.NewDecoder(strings.NewReader(lvs[at:])).Decode(&said); err != nil {
		return fmt.Errorf("%w: %w", errUnknownForm, err)
	}
	if len(said.Report) == 0 {
		return fmt.Errorf("%w: the report is empty", errUnknownForm)
	}
	for _, rep := range said.Report {
		for _, v := range rep.LV {
			v.Name = strings.Trim(v.Name, "[]")
			free, err1 := strconv.ParseInt(v.Free, 10, 64)
			extent, err2 := strconv.ParseInt(v.Extent, 10, 64)
			switch {
			case v.Name == "" || v.VG == "" || v.UUID == "" || len(v.Attr) < 6:
				return fmt.Errorf("%w: a volume without name, group, uuid or attributes", errUnknownForm)
			case err1 != nil || err2 != nil || extent <= 0:
				return fmt.Errorf("%w: group %q has %q free in extents of %q", errUnknownForm, v.VG, v.Free, v.Extent)
			}
			r.LVs = append(r.LVs, v)
			r.VGs[v.VG] = vg{Free: free, Extent: extent}
		}
	}
	return nil
}

// system reads what is not LVM's.
func (r *report) system(sections map[string]string) {
	for line := range strings.Lines(sections["mounts"]) {
		left, right, ok := strings.Cut(line, " - ")
		f, s := strings.Fields(left), strings.Fields(right)
		if ok && len(f) > 4 && len(s) > 1 {
			r.Mounts = append(r.Mounts, mount{Device: f[2], Root: f[3], Point: unescape(f[4]), Source: s[1]})
		}
	}
	for line := range strings.Lines(sections["written"]) {
		if f := strings.Fields(line); len(f) > 9 {
			if sectors, err := strconv.ParseInt(f[9], 10, 64); err == nil {
				r.Written[f[0]+":"+f[1]] = sectors * 512
			}
		}
	}
	for line := range strings.Lines(sections["markers"]) {
		r.Markers[strings.TrimSpace(line)] = true
	}
	for _, part := range []string{"autoextend", "bootable"} {
		for line := range strings.Lines(sections[part]) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				r.Settings[key] = value
			}
		}
	}
}

// unescape reads the octal escapes of mountinfo.
func unescape(s string) string {
	for _, e := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

// byName finds a volume as the plan calls it.
func (r *report) byName(full string) (lv, bool) {
	for _, v := range r.LVs {
		if v.full() == full {
			return v, true
		}
	}
	return lv{}, false
}

// byUUID finds a volume whatever it is called.
func (r *report) byUUID(uuid string) (lv, bool) {
	for _, v := range r.LVs {
		if v.UUID == uuid {
			return v, true
		}
	}
	return lv{}, false
}

// mountOf is where the volume is mounted as a whole; empty when it is not.
func (r *report) mountOf(v lv) string {
	for _, m := range r.Mounts {
		if m.Device == v.device() && m.Root == "/" {
			return m.Point
		}
	}
	return ""
}

// snapshotsOf are the snapshots of an origin.
func (r *report) snapshotsOf(v lv) []lv {
	var out []lv
	for _, s := range r.LVs {
		if s.OriginID == v.UUID {
			out = append(out, s)
		}
	}
	return out
}
