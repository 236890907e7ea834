package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/backout-io/backout/internal/cli/view"
)

// Version is which build this is.
type Version struct {
	// Version is the module's version, or "devel".
	Version string `json:"version"`
	// Commit is the revision it was built from, with Modified when files differed.
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return p.print(v, func(view.Style) string { return v.String() + "\n" })
		},
	}
}

func buildVersion() Version {
	info, _ := debug.ReadBuildInfo()
	return versionOf(info)
}

// versionOf reads what the go command wrote into the binary.
func versionOf(info *debug.BuildInfo) Version {
	v := Version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		return v
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// String is the version in one line.
func (v Version) String() string {
	out := "backout " + v.Version
	if v.Commit != "" {
		commit := v.Commit
		if len(commit) > 12 {
			commit = commit[:12]
		}
		out += " (" + commit
		if v.Modified {
			out += ", modified"
		}
		out += ")"
	}
	return fmt.Sprintf("%s %s %s", out, v.Go, v.Platform)
}

// BuildVersion is this build's version in a few characters, for a server's answers.
func BuildVersion() string { return buildVersion().Version }
