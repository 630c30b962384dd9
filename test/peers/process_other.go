//go:build !linux

package peers

import "syscall"

// endWithParent can do nothing here: only Linux has a parent-death signal.
func endWithParent() *syscall.SysProcAttr { return nil }
