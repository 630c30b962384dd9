// Package test checks the repository as a whole: which package imports which, whether the code accepts what deploy/ and the documents
// show, and whether docs/metrics.md is complete. Tests of the running relay are in the packages below; README.md says which.
package test

import (
	"flag"
	"io/fs"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// update makes tests write the files that they compare: see the targets update-... of the Makefile.
var update = flag.Bool("update", false, "write generated files in place of comparing them")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

// repository is the root of the repository.
const repository = ".."

func repositoryFS() fs.FS { return os.DirFS(repository) }
