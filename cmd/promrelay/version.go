package main

import promversion "github.com/prometheus/common/version"

// version is set by the linker.
var version = "dev"

func init() { promversion.Version = version }
