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
func (t *translation) installations(in *input) (out []installation) {
	byDir := map[string]*installation{}
	var dirs []string
	for _, f := range in.files {
		if f.object == "" && f.name == "config.toml" {
			dirs = append(dirs, f.dir)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // the innermost first
	place := func(key string, f file) {
		if byDir[key] == nil {
			byDir[key] = &installation{}
		}
		byDir[key].files = append(byDir[key].files, f)
	}
	mounted := map[int]bool{}
	for w := range in.workloads {
		i := installation{workload: &in.workloads[w]}
		for n, f := range in.files {
			if f.object != "" && len(i.workload.mounts(f.object)) > 0 {
				i.files = append(i.files, f)
				mounted[n] = true
			}
		}
		if len(i.files) > 0 {
			out = append(out, i)
		}
	}
	for n, f := range in.files {
		switch {
		case mounted[n]:
		case f.object != "" && len(out) == 1:
			out[0].files = append(out[0].files, f)
		case f.object != "":
			place("manifests", f)
		default:
			place("dir:"+dirOf(f, dirs), f)
		}
	}
	for _, key := range sortedKeys(byDir) {
		out = append(out, *byDir[key])
	}
	return out
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
		paths = i.workload.mounts(f.object)
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
			t.report.add(f.at(1), f.name, NoCounterpart, "not read: %v", err)
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
