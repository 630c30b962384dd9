// Command oracle says what prometheus-operator and Prometheus make of monitors and the objects of a cluster. It reads cases as JSON
// lines and writes a result for each, in their order: the monitors that the operator selects, and why it rejects some; the jobs of the
// configuration that its generator writes, as Prometheus loads it; and their targets, as Prometheus's discovery finds them.
//
// It has a module of its own, since the operator needs other versions of libraries that the relay uses.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
)

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// serve answers until there are no more cases, several at once.
func serve(r io.Reader, w io.Writer) error {
	in := bufio.NewReaderSize(r, 1<<20)
	out := bufio.NewWriter(w)
	answers := make(chan chan []byte, 4*runtime.GOMAXPROCS(0))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	read := make(chan error, 1)
	go func() {
		defer close(answers)
		for {
			line, err := in.ReadBytes('\n')
			if err == io.EOF {
				read <- nil
				return
			}
			if err != nil {
				read <- fmt.Errorf("read cases: %w", err)
				return
			}
			answer := make(chan []byte, 1)
			answers <- answer
			slots <- struct{}{}
			go func() {
				defer func() { <-slots }()
				answer <- answerTo(line)
			}()
		}
	}()
	for answer := range answers {
		if _, err := out.Write(append(<-answer, '\n')); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
		if len(answers) == 0 {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write results: %w", err)
			}
		}
	}
	return <-read
}

func answerTo(line []byte) []byte {
	var c Case
	result := &Result{}
	if err := json.Unmarshal(line, &c); err != nil {
		result.Error = "oracle: " + err.Error()
	} else {
		result = guarded(&c)
	}
	text, err := json.Marshal(result)
	if err != nil {
		text, _ = json.Marshal(&Result{Error: "oracle: " + err.Error()})
	}
	return text
}

// guarded answers even if the operator panics.
func guarded(c *Case) (r *Result) {
	defer func() {
		if p := recover(); p != nil {
			r = &Result{Error: fmt.Sprintf("oracle: panic: %v", p)}
		}
	}()
	return run(c)
}
