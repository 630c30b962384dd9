package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	promversion "github.com/prometheus/common/version"
)

// version is set by the linker in prometheus/common; without that it is the module's.
var version = cmp.Or(promversion.Version, moduleVersion(), "dev")

// moduleVersion is the version that `go install` was called with, or which Go derives from the tags of the repository; empty if there
// is none.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return strings.TrimPrefix(info.Main.Version, "(devel)")
}

// versionText is the output of version and --version. The revision is set by the linker, or by Go for a build in a repository.
func versionText() string {
	return fmt.Sprintf("%s, version %s (branch: %s, revision: %s)\n  go version: %s\n  platform:   %s/%s", name, version,
		cmp.Or(promversion.Branch, "unknown"), promversion.GetRevision(), promversion.GoVersion, promversion.GoOS, promversion.GoArch)
}

func versionCommand(app *kingpin.Application) subcommand {
	return subcommand{app.Command("version", "Print the version."+examples("version")), func() error {
		fmt.Println(versionText())
		return nil
	}}
}
