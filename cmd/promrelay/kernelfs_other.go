//go:build !linux

package main

// kernelFS works only on Linux.
func kernelFS(string) string { return "" }
