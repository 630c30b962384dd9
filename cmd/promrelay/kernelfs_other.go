//go:build !linux

package main

// kernelFS is known on Linux alone.
func kernelFS(string) string { return "" }
