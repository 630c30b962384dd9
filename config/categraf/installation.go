package categraf

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// installation is a categraf with its files: those beneath the directory of a config.toml, or those that a workload mounts.
type installation struct {
	files    []file
	workload *workload // nil if it is not known
}

// perNode reports whether it runs on each node, as far as is known.
func (i installation) perNode() bool { return i.workload == nil || i.workload.Kind == "DaemonSet" }

// installations divides the files.
func (t *translation) installations(in *input) []installation {
	out, rest := in.mounted()
	byDir := map[string]*installation{}
	var dirs []string
	for _, f := range rest {
		if f.object == "" && f.name == "config.toml" {
			dirs = append(dirs, f.dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // the innermost first
	for _, f := range rest {
		key := "dir:" + dirOf(f, dirs)
		if f.object != "" {
			key = "manifests"
			if len(out) > 0 { // it is of another program, or of no pod
				if path.Ext(f.name) == ".toml" {
					t.report.add(f.at(1), f.name, NoCounterpart, "no workload here mounts %s, so this file is left out", f.object)
				}
				continue
			}
		}
		if byDir[key] == nil {
			byDir[key] = &installation{}
		}
		byDir[key].files = append(byDir[key].files, f)
	}
	for _, key := range sortedKeys(byDir) {
		out = append(out, *byDir[key])
	}
	return out
}

// mounted are the installations that workloads show, and the files that none of them has.
func (in *input) mounted() (out []installation, rest []file) {
	taken := map[int]bool{}
	for w := range in.workloads {
		i, isCategraf := installation{workload: &in.workloads[w]}, false
		var files []int
		for n, f := range in.files {
			paths := i.workload.mounts(f.object, f.name)
			if f.object == "" || len(paths) == 0 {
				continue
			}
			i.files, files = append(i.files, f), append(files, n)
			tab, err := parse(f)
			isCategraf = isCategraf || path.Ext(f.name) == ".toml" && err == nil && isMain(tab) || strings.Contains(strings.Join(paths, " "), "/input.")
		}
		if !isCategraf {
			continue
		}
		out = append(out, i)
		for _, n := range files {
			taken[n] = true
		}
	}
	for n, f := range in.files {
		if !taken[n] {
			rest = append(rest, f)
		}
	}
	return out, rest
}

// dirOf is the directory of the config.toml that a file belongs to; "." if there is none.
func dirOf(f file, dirs []string) string {
	for _, d := range dirs {
		if d == "." || f.dir == d || strings.HasPrefix(f.dir, d+"/") {
			return d
		}
	}
	if len(dirs) == 1 { // such as a scrape file beside conf
		return dirs[0]
	}
	return "."
}

// plugin is the plugin that a file configures: input.NAME in its path. Without such a path it is prometheus if the file has URLs of pages
// with metrics, else the name of the file.
func (i installation) plugin(f file, in *table) string {
	paths := []string{f.dir}
	if f.object != "" && i.workload != nil {
		paths = i.workload.mounts(f.object, f.name)
	}
	for _, p := range paths {
		for part := range strings.SplitSeq(p, "/") {
			if name, ok := strings.CutPrefix(part, "input."); ok {
				return name
			}
		}
	}
	for _, instance := range in.subs("instances") {
		if slices.ContainsFunc(instance.strs("urls"), func(u string) bool { return strings.Contains(u, "/metrics") }) {
			return "prometheus"
		}
	}
	return strings.TrimSuffix(strings.TrimPrefix(f.name, "input."), path.Ext(f.name))
}

// installation translates one installation.
func (t *translation) installation(i installation) {
	main := &mainFile{interval: defaultInterval, vars: variables(i.workload), perNode: i.perNode()}
	if i.workload != nil {
		main.kind = i.workload.Kind
	}
	var plugins []file
	var tables []*table
	scrapes := map[string]file{}
	for _, f := range i.files {
		if path.Ext(f.name) != ".toml" {
			scrapes[f.name] = f
			continue
		}
		tab, err := parse(f)
		switch {
		case err != nil:
			t.report.add(f.at(1), f.name, NoCounterpart, notRead+"%v", err)
		case isMain(tab):
			t.main(main, tab)
		default:
			plugins, tables = append(plugins, f), append(tables, tab)
		}
	}
	for n, tab := range tables {
		t.plugin(main, i.plugin(plugins[n], tab), tab)
	}
	t.scrapes(main, scrapes)
}
