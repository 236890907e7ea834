package baseline

import (
	"slices"
	"strings"

	"github.com/backout-io/backout"
)

// units: what was active has to be active. A timer and what it starts, and a unit
// that had done its work and is not asked to again, are only told of.
func units(before, now []backout.Unit) (all []finding) {
	timers := map[string]bool{}
	for _, u := range before {
		if stem, ok := strings.CutSuffix(u.Name, ".timer"); ok {
			timers[stem] = true
		}
	}
	align(before, now, func(u backout.Unit) string { return u.Name }, func(name string, was, is *backout.Unit) {
		f := finding{Difference: backout.Difference{Part: backout.PartUnits, Name: name, Was: unitText(was), Now: unitText(is)}}
		if f.Was == f.Now {
			return
		}
		stem, service := strings.CutSuffix(name, ".service")
		timed := strings.HasSuffix(name, ".timer") || service && timers[stem]
		if was != nil && !timed {
			active := is != nil && strings.HasPrefix(is.Active, "active")
			failed := is != nil && is.Active == "failed"
			f.grave = was.Active == "active" && !active || was.Active == "active (exited)" && failed
		}
		all = append(all, f)
	})
	return all
}

func unitText(u *backout.Unit) string {
	switch {
	case u == nil:
		return ""
	case u.Enabled == "":
		return u.Active
	}
	return u.Active + ", " + u.Enabled
}

// Ports from here to there are what Linux gives to whoever asks for any.
const (
	firstAny = 32768
	lastAny  = 60999
)

// ports: what listened has to listen, at this address or at all of them. A service
// that takes any free port may have another one now.
func ports(before, now []backout.Port) (all []finding) {
	anyPort := func(p backout.Port) bool { return p.Port >= firstAny && p.Port <= lastAny }
	spare := 0 // new ports of that kind, each in the place of one that is gone
	for _, p := range now {
		if anyPort(p) && !slices.Contains(before, p) {
			spare++
		}
	}
	align(before, now, portName, func(name string, was, is *backout.Port) {
		f := finding{Difference: backout.Difference{Part: backout.PartPorts, Name: name}}
		switch {
		case was != nil && is != nil:
			return
		case is != nil:
			f.Now = "listening"
		case anyPort(*was) && spare > 0:
			spare--
			f.Was = "listening"
		default:
			f.Was = "listening"
			f.grave = !slices.ContainsFunc(now, func(p backout.Port) bool {
				return p.Protocol == was.Protocol && p.Port == was.Port && covers(p.Address, was.Address)
			})
		}
		all = append(all, f)
	})
	return all
}

// covers tells whether who listens at one address is reached at the other.
func covers(listens, wanted string) bool {
	return listens == "::" || listens == "0.0.0.0" && !strings.Contains(wanted, ":")
}

// mounts: what was mounted has to be mounted, and writable if it was.
func mounts(before, now []backout.Mount) (all []finding) {
	readOnly := func(m *backout.Mount) bool { return slices.Contains(strings.Split(m.Options, ","), "ro") }
	align(before, now, func(m backout.Mount) string { return m.Path }, func(path string, was, is *backout.Mount) {
		f := finding{Difference: backout.Difference{Part: backout.PartMounts, Name: path, Was: mountText(was), Now: mountText(is)}}
		if f.Was == f.Now {
			return
		}
		f.grave = was != nil && (is == nil || readOnly(is) && !readOnly(was))
		all = append(all, f)
	})
	return all
}
