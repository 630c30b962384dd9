package config

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/promslog"
	promconfig "github.com/prometheus/prometheus/config"
	"go.yaml.in/yaml/v3"
)

// spoiler makes mistakes in a tree, of the kinds that people make.
type spoiler struct{ *rand.Rand }

func scalarNode(value string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: value} }

// spoil makes one mistake somewhere in a tree.
func (s spoiler) spoil(root *yaml.Node) {
	var all []*yaml.Node
	var gather func(*yaml.Node)
	gather = func(n *yaml.Node) {
		if len(n.Content) > 0 {
			all = append(all, n)
		}
		for _, c := range n.Content {
			gather(c)
		}
	}
	gather(root)
	n := all[s.IntN(len(all))]
	i := s.IntN(len(n.Content))
	if n.Kind == yaml.MappingNode && s.IntN(3) == 0 {
		key := n.Content[i&^1]
		switch s.IntN(4) {
		case 0:
			key.Value = strings.ToUpper(key.Value[:1]) + key.Value[1:]
		case 1:
			key.Value += "s"
		case 2:
			n.Content = append(n.Content, scalarNode(key.Value), scalarNode("again"))
		default:
			n.Content = append(n.Content, scalarNode("hunter"), scalarNode("2"))
		}
		return
	}
	if n.Kind == yaml.MappingNode {
		i |= 1
	}
	switch old := n.Content[i]; s.IntN(8) {
	case 0:
		n.Content[i] = scalarNode("null")
	case 1:
		n.Content[i] = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{old}}
	case 2:
		n.Content[i] = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalarNode("a"), old}}
	case 3:
		n.Content[i] = scalarNode("-1")
	case 4:
		n.Content[i] = scalarNode("SEKRET-scalar")
	case 5:
		n.Content[i] = scalarNode("1h30")
	case 6:
		if n.Kind == yaml.SequenceNode {
			n.Content = append(n.Content, old)
		} else {
			n.Content = slices.Delete(n.Content, i-1, i+1)
		}
	default:
		n.Content[i] = scalarNode("")
	}
}

// plant puts secrets where they belong, so that a message that shows what stands there is found.
func plant(n *yaml.Node) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && c.Kind == yaml.ScalarNode && slices.Contains([]string{"password", "credentials", "bearer_token", "client_secret", "secret_key", "auth_token", "token"}, n.Content[i-1].Value) && len(c.Value) != 36 { // some must be a UUID
			c.Value = "SEKRET-planted"
		}
		plant(c)
	}
}

// TestRandomMistakes makes mistakes at random in what Prometheus is tested with: what its loader says is what the relay says, with a line
// and without a secret.
func TestRandomMistakes(t *testing.T) {
	dir := filepath.Dir(prometheusFiles(t)[0])
	bases := []string{"conf.good.yml", "roundtrip.good.yml"}
	seeds := []int{998, 1383, 1463, 2409, 3086, 3272, 3615, 3677} // the line was missing for these once
	more := 300
	if testing.Short() {
		more = 50
	}
	for seed := range more {
		seeds = append(seeds, seed)
	}
	refusals := 0
	for _, seed := range seeds {
		base, err := os.ReadFile(filepath.Join(dir, bases[seed%len(bases)]))
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(base, &doc); err != nil {
			t.Fatal(err)
		}
		root := doc.Content[0]
		for i := len(root.Content) - 2; i >= 0; i -= 2 { // what the relay refuses in any case
			if refused[root.Content[i].Value] != "" {
				root.Content = slices.Delete(root.Content, i, i+2)
			}
		}
		plant(root)
		s := spoiler{rand.New(rand.NewPCG(uint64(seed), 1))}
		for range 1 + s.IntN(3) {
			s.spoil(root)
		}
		text, err := yaml.Marshal(&doc)
		if err != nil {
			continue
		}
		theirs := verdictOfPrometheus(string(text), dir)
		_, ours := Load(text, dir)
		if theirs != nil {
			refusals++
		}
		compareVerdicts(t, seed, theirs, ours)
	}
	if refusals < len(seeds)/3 {
		t.Errorf("only %d of %d are refused", refusals, len(seeds))
	}
}

func verdictOfPrometheus(text, dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errPanic
		}
	}()
	c, err := promconfig.Load(text, promslog.NewNopLogger())
	if err != nil {
		return err
	}
	c.SetDirectory(dir)
	_, err = c.GetScrapeConfigs()
	return err
}

// also holds parts of messages about mistakes that only the relay refuses.
var also = append(slices.Clone(beyond), "refresh_interval: ", "another one has the same name or URL", "is no name of a header", "no header may have", "want a port", "want http or https", "unknown key \"hunter\"")

func compareVerdicts(t *testing.T, seed int, theirs, ours error) {
	t.Helper()
	if ours == nil {
		if theirs != nil {
			t.Errorf("seed %d is taken, and Prometheus says %v", seed, theirs)
		}
		return
	}
	problems, ok := errors.AsType[Problems](ours)
	if !ok {
		t.Errorf("seed %d: %v", seed, ours)
		return
	}
	of := 0
	for _, p := range problems {
		if !slices.ContainsFunc(also, func(s string) bool { return strings.Contains(p.Text, s) }) {
			of++
		}
		if p.Line == 0 {
			t.Errorf("seed %d: no line: %s; Prometheus says %v", seed, p, theirs)
		}
		if strings.Contains(p.Text, "SEKRET-planted") {
			t.Errorf("seed %d: a secret in %s", seed, p)
		}
	}
	if theirs == nil && of > 0 {
		t.Errorf("seed %d: Prometheus takes it, and here is %v", seed, problems)
	}
	if theirs != nil && of == 0 && len(problems) == 0 {
		t.Errorf("seed %d: nothing is said of %v", seed, theirs)
	}
}
