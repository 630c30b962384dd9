package manifests

import (
	"github.com/prometheus-operator/prometheus-operator/pkg/client/versioned/scheme"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	clientscheme "k8s.io/client-go/kubernetes/scheme"

	"promrelay/informers/objects"
)

// defaultNamespace is that of objects which name none, as kubectl has it.
const defaultNamespace = "default"

// decoder reads the objects of files.
type decoder struct {
	reader    runtime.Decoder
	scheme    *runtime.Scheme
	namespace string // of objects that name none
	log       *zap.Logger
}

// newDecoder returns a decoder for all kinds of Kubernetes and for monitors. A nil log means none.
func newDecoder(namespace string, log *zap.Logger) (*decoder, error) {
	if log == nil {
		log = zap.NewNop()
	}
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, scheme.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Strict: true})
	return &decoder{reader: objects.LenientDecoder{Decoder: strict}, scheme: s, namespace: namespace, log: log}, nil
}
