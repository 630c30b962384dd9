package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// oracle is a running process of test/oracle.
type oracle struct {
	in  *json.Encoder
	mu  sync.Mutex // guards in and waiting
	due chan chan answer
}

type answer struct {
	result *result
	err    error
}

// newOracle builds the oracle and starts it.
func newOracle(t testing.TB) *oracle {
	t.Helper()
	program := os.Getenv("ORACLE")
	if program == "" {
		program = filepath.Join(t.TempDir(), "oracle")
		build := exec.Command("go", "build", "-o", program, ".")
		build.Dir = filepath.Join("..", "oracle")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build the oracle: %v\n%s", err, out)
		}
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &oracle{in: json.NewEncoder(in), due: make(chan chan answer, 10000)}
	o.in.SetEscapeHTML(false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.read(json.NewDecoder(bufio.NewReaderSize(out, 1<<20)))
	}()
	t.Cleanup(func() {
		_ = in.Close()
		close(o.due)
		<-done
		if err := cmd.Wait(); err != nil {
			t.Errorf("oracle: %v", err)
		}
	})
	return o
}

func (o *oracle) read(dec *json.Decoder) {
	for wait := range o.due {
		a := answer{result: &result{}}
		if a.err = dec.Decode(a.result); a.err == nil {
			a.result.normal()
		}
		wait <- a
	}
}

// ask gives the oracle a case and waits for the answer. Several may ask at once.
func (o *oracle) ask(c *testCase) (*result, error) { return o.askAny(c) }

func (o *oracle) askAny(c any) (*result, error) {
	wait := make(chan answer, 1)
	o.mu.Lock()
	err := o.in.Encode(c)
	if err == nil {
		o.due <- wait
	}
	o.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("ask the oracle: %w", err)
	}
	a := <-wait
	if a.err != nil {
		return nil, fmt.Errorf("answer of the oracle: %w", a.err)
	}
	return a.result, nil
}
