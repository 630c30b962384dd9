package wal

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// childEnv holds the directory for the process that is killed.
const childEnv = "PROMRELAY_WAL_TEST_CHILD"

// runChild appends until it is killed. It prints on standard output for how many frames Append has returned.
func runChild(dir string) int {
	w, err := Open(Options{Dir: dir, SegmentBytes: 20_000})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	first, err := strconv.Atoi(os.Getenv(childEnv + "_FIRST"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for i := first; ; {
		group := make([]Frame, i%4+1)
		for j := range group {
			group[j] = killFrame(i + j)
		}
		if _, err := tryAppend(w, group...); err != nil {
			fmt.Println(err)
			return 1
		}
		i += len(group)
		fmt.Println(i)
	}
}

func killFrame(i int) Frame {
	text := fmt.Sprintf("%d ", i)
	return Frame{Type: 3, Count: 1, Payload: []byte(text + strings.Repeat("x", i%3000))}
}

func TestKilledProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	var appended, read int
	position := Position{}
	for range 8 {
		appended = killChild(t, dir, appended, rnd.IntN(400))

		w, err := Open(Options{Dir: dir, SegmentBytes: 20_000})
		if err != nil {
			t.Fatal(err)
		}
		entries := readFrom(t, w, position)
		if len(entries) > 0 && entries[0].Lost > 0 {
			// A group whose Append did not return was cut short by the last kill.
			t.Logf("%d frames of an unfinished group were torn off", entries[0].Lost)
		}
		for _, e := range entries {
			read += int(e.Lost)
			if want := killFrame(read); string(e.Payload) != string(want.Payload) {
				t.Fatalf("frame %d reads %.20q, want %.20q", read, e.Payload, want.Payload)
			}
			read++
		}
		if read < appended {
			t.Fatalf("%d frames are read, Append returned for %d", read, appended)
		}
		position = w.Head()
		appended = int(position.Count)
		read = appended
		// No Close: the next process finds what a killed one leaves, twice.
		if err := w.lock.Close(); err != nil {
			t.Fatal(err)
		}
		w.active.file.Close()
	}
}

// killChild starts a process that appends from frame first on, kills it when it has printed lines lines, and returns the
// number of frames that it has reported.
func killChild(t *testing.T, dir string, first, lines int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, fmt.Sprintf("%s_FIRST=%d", childEnv, first))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reported := first
	scan := bufio.NewScanner(out)
	for n := 0; scan.Scan(); n++ {
		if reported, err = strconv.Atoi(scan.Text()); err != nil {
			t.Fatal(scan.Text())
		}
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("process was not killed: %v", err)
	}
	return reported
}
