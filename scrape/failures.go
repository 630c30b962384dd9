package scrape

import (
	"errors"
	"log/slog"
	"sync"

	"github.com/prometheus/prometheus/util/logging"
	"go.uber.org/zap"

	"promrelay/targets"
)

// failureLogs are the files named by scrape_failure_log_file. Each is opened with its first failed
// scrape, and stays open.
type failureLogs struct {
	mu    sync.Mutex
	files map[string]*logging.JSONFileLogger // by path; nil for one that cannot be opened
}

// add logs a failed scrape as Prometheus does: a line of JSON with msg, job_name and target.
func (f *failureLogs) add(t *targets.Target, failure error, log *zap.Logger) {
	path := t.Job.Config.ScrapeFailureLogFile
	if path == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	file, known := f.files[path]
	if !known {
		var err error
		if file, err = logging.NewJSONFileLogger(path); err != nil {
			log.Error("scrape_failure_log_file cannot be opened", zap.String("job", t.Job.Name), zap.NamedError("err", err))
		}
		if f.files == nil {
			f.files = map[string]*logging.JSONFileLogger{}
		}
		f.files[path] = file
	}
	if file != nil {
		slog.New(file).Error(t.ShownError(failure), "job_name", t.Job.Name, "target", t.ShownURL())
	}
}

func (f *failureLogs) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, file := range f.files {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	f.files = nil
	return errors.Join(errs...)
}
