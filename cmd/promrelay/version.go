package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"strings"

	promversion "github.com/prometheus/common/version"
)

// version is what the linker sets in prometheus/common, else what Go knows of the module.
var version = cmp.Or(promversion.Version, moduleVersion(), "dev")

// moduleVersion is the one by which the program was installed, or that Go makes of the tags of the repository; empty if there is none.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return strings.TrimPrefix(info.Main.Version, "(devel)")
}

// versionText is what version and --version print. The revision is what the linker sets, else what Go notes of a build in a repository.
func versionText() string {
	return fmt.Sprintf("%s, version %s (branch: %s, revision: %s)\n  go version: %s\n  platform:   %s/%s", name, version,
		cmp.Or(promversion.Branch, "unknown"), promversion.GetRevision(), promversion.GoVersion, promversion.GoOS, promversion.GoArch)
}
