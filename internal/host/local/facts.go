package local

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/backout-io/backout/internal/host/attempt"
)

const bootFile = "/proc/sys/kernel/random/boot_id"

// readLine returns a small file without its line end; empty if it cannot be read.
func readLine(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// facts collects what dir holds of an attempt. The result is read last; see
// [attempt.Facts.Report].
func (h *Host) facts(dir string) attempt.Facts {
	f := attempt.Facts{Boot: h.boot}
	if _, err := os.Lstat(dir); err != nil {
		return f
	}
	f.Seen = true
	process := func(pid string) string {
		if _, err := strconv.Atoi(pid); err != nil {
			return ""
		}
		return attempt.ProcessLine(readLine("/proc/" + pid + "/stat"))
	}
	f.Claim, f.PID = readLine(filepath.Join(dir, "claim")), readLine(filepath.Join(dir, "pid"))
	if claim := strings.Fields(f.Claim); len(claim) == 3 {
		f.Supervisor = process(claim[1])
	}
	if pid := strings.Fields(f.PID); len(pid) == 2 {
		f.Command = process(pid[0])
	}
	_, err := os.Lstat(filepath.Join(dir, "unused"))
	f.Unused = err == nil
	f.Result = readLine(filepath.Join(dir, "rc"))
	return f
}
