package targets

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/fields"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

// Selector selects objects of one role by their labels and fields.
type Selector struct {
	Labels k8slabels.Selector // nil selects all
	Fields fields.Selector    // nil selects all
}

// Selectors hold the Selector of each role that has one, as canonical text: Selectors with the same requirements in another order are
// equal by ==. The zero value selects all objects.
type Selectors struct{ text string }

// selectorJSON is one Selector in the text of Selectors.
type selectorJSON struct {
	Labels string `json:"labels,omitempty"`
	Fields string `json:"fields,omitempty"`
}

// NewSelectors encodes Selectors by role, without those that select all objects.
func NewSelectors(byRole map[string]Selector) Selectors {
	out := map[string]selectorJSON{}
	for role, s := range byRole {
		var t selectorJSON
		if s.Labels != nil {
			t.Labels = s.Labels.String()
		}
		if s.Fields != nil {
			t.Fields = s.Fields.String()
		}
		if t != (selectorJSON{}) {
			out[role] = t
		}
	}
	if len(out) == 0 {
		return Selectors{}
	}
	text, _ := json.Marshal(out) // strings only; keys are sorted
	return Selectors{string(text)}
}

// ByRole decodes the Selectors by role. Neither part of them is nil.
func (s Selectors) ByRole() (map[string]Selector, error) {
	out := map[string]Selector{}
	if s.text == "" {
		return out, nil
	}
	written := map[string]selectorJSON{}
	if err := json.Unmarshal([]byte(s.text), &written); err != nil {
		return nil, fmt.Errorf("selectors %s: %w", s.text, err)
	}
	for role, t := range written {
		sel, err := t.parse()
		if err != nil {
			return nil, fmt.Errorf("selector of role %s: %w", role, err)
		}
		out[role] = sel
	}
	return out, nil
}

// String returns the selectors as text, for sorting and for tests.
func (s Selectors) String() string { return s.text }

func (t selectorJSON) parse() (s Selector, err error) {
	if s.Labels, err = k8slabels.Parse(t.Labels); err != nil {
		return s, err
	}
	s.Fields, err = fields.ParseSelector(t.Fields)
	return s, err
}
