package agent

import (
	"bytes"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// block is a mapping whose keys stay in the order in which they are set.
type block struct{ node yaml.Node }

func newBlock() *block { return &block{yaml.Node{Kind: yaml.MappingNode}} }

func (b *block) empty() bool { return len(b.node.Content) == 0 }

// set adds a key.
func (b *block) set(key string, value any) {
	var k, v yaml.Node
	k.SetString(key)
	if in, ok := value.(*block); ok {
		v = in.node
		if in.empty() {
			v.Style = yaml.FlowStyle
		}
	} else if in, ok := value.(*yaml.Node); ok {
		v = *in
	} else if err := v.Encode(value); err != nil { // only types that nobody hands in
		panic(err)
	}
	b.node.Content = append(b.node.Content, &k, &v)
}

// given adds a key unless the value is nil, or zero and no pointer.
func (b *block) given(key string, value any) {
	if v := reflect.ValueOf(value); v.IsValid() && !v.IsZero() {
		b.set(key, value)
	}
}

// list adds a key with a list of blocks, unless it is empty.
func (b *block) list(key string, blocks []*block) {
	if len(blocks) == 0 {
		return
	}
	n := yaml.Node{Kind: yaml.SequenceNode}
	for _, in := range blocks {
		n.Content = append(n.Content, &in.node)
	}
	b.set(key, &n)
}

// yaml is the block as it stands in a file.
func (b *block) yaml() ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := e.Encode(&b.node); err != nil {
		return nil, err
	}
	return out.Bytes(), e.Close()
}
