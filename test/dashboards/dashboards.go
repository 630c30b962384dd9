// Package dashboards reads the queries of Grafana's dashboards.
package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Query is a query of a panel, with Grafana's variables replaced by values that select everything.
type Query struct {
	Dashboard, Panel, Expr string
}

// variables are those that the dashboards use.
var variables = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$cluster", ".*", "$destination", ".*")

// Read returns the queries of all dashboards in the files *.json of a directory. A panel without any query is an error.
func Read(dir string) (out []Query, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no dashboards", dir)
	}
	var errs []error
	for _, file := range files {
		queries, err := read(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
		out = append(out, queries...)
	}
	return out, errors.Join(errs...)
}

func read(file string) (out []Query, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var d struct {
		Title  string
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	for _, p := range d.Panels {
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			return nil, fmt.Errorf("panel %q has no query", p.Title)
		}
		for _, t := range p.Targets {
			q := Query{Dashboard: d.Title, Panel: p.Title, Expr: variables.Replace(t.Expr)}
			if strings.Contains(q.Expr, "$") {
				return nil, fmt.Errorf("panel %q: a variable in %s is not known", p.Title, t.Expr)
			}
			out = append(out, q)
		}
	}
	return out, nil
}
