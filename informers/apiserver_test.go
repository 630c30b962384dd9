package informers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"promrelay/config"
	"promrelay/informers/cluster"
	"promrelay/informers/objects"
)

// apiServer is the part of an API server that a Cluster needs. It accepts all objects, even if a CRD would refuse
// them.
type apiServer struct {
	t       *testing.T
	url     string
	streams bool // lists by watch, too

	mu      sync.Mutex
	version int
	objects map[string]map[string]map[string]any // by resource and namespace/name
	changes []apiChange
	changed chan struct{}             // closed when something has
	errs    map[string]error          // of requests, by resource
	behind  map[string]bool           // Secrets that are not in its cache yet
	asked   map[string]map[string]int // how often, by resource and verb
	events  []*eventsv1.Event
}

// apiChange is an event of a watch.
type apiChange struct {
	version  int
	resource string
	kind     string
	object   map[string]any
}

func newAPIServer(t *testing.T, streams bool) *apiServer {
	t.Helper()
	s := &apiServer{
		t: t, streams: streams, version: 1, objects: map[string]map[string]map[string]any{}, changed: make(chan struct{}),
		errs: map[string]error{}, behind: map[string]bool{}, asked: map[string]map[string]int{},
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// cluster is the API server as a Backend.
func (s *apiServer) cluster() *cluster.Cluster {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "` + s.url + `"}}], contexts: [{name: c, context: {cluster: c, user: ""}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	c, err := cluster.New(&config.Kubernetes{Kubeconfig: path}, "test", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// put creates or changes an object.
func (s *apiServer) put(text string) {
	s.t.Helper()
	o := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		s.t.Fatal(err)
	}
	m := o["metadata"].(map[string]any)
	resource, key := strings.ToLower(o["kind"].(string))+"s", m["namespace"].(string)+"/"+m["name"].(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, kind := s.objects[resource][key], "MODIFIED"
	m["generation"] = 1
	if old == nil {
		kind = "ADDED"
		m["uid"] = fmt.Sprintf("uid-%d", s.version)
	} else {
		was := old["metadata"].(map[string]any)
		m["uid"], m["generation"] = was["uid"], was["generation"].(int)+1
	}
	if s.objects[resource] == nil {
		s.objects[resource] = map[string]map[string]any{}
	}
	s.objects[resource][key] = o
	s.changeLocked(resource, kind, o)
}

func (s *apiServer) remove(resource, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[resource][key]
	delete(s.objects[resource], key)
	s.changeLocked(resource, "DELETED", o)
}

// changeLocked sends a change to the watches. It copies the object, because it may be written while others read it.
func (s *apiServer) changeLocked(resource, kind string, o map[string]any) {
	s.version++
	o["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(s.version)
	s.changes = append(s.changes, apiChange{s.version, resource, kind, runtime.DeepCopyJSON(jsonOf(o))})
	close(s.changed)
	s.changed = make(chan struct{})
}

// jsonOf is an object with the types that JSON has.
func jsonOf(o map[string]any) map[string]any {
	text, err := json.Marshal(o)
	out := map[string]any{}
	if err = errors.Join(err, json.Unmarshal(text, &out)); err != nil {
		panic(err)
	}
	return out
}

// fails answers requests about a resource with an error from now on, and ends its watches. Nil means no error.
func (s *apiServer) fails(resource string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs[resource] = err
	close(s.changed)
	s.changed = make(chan struct{})
}

// count returns how often a resource was listed, and watched.
func (s *apiServer) count(resource string) (lists, watches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[resource]["list"], s.asked[resource]["watch"]
}

// eventNotes returns the notes of the events that were written.
func (s *apiServer) eventNotes() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		out = append(out, fmt.Sprintf("%s %s %s %s: %s", e.Type, e.Regarding.Kind, e.Regarding.Name, e.Regarding.UID, e.Note))
	}
	return out
}

// ServeHTTP implements http.Handler.
func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodPost: // an event, in protobuf
		s.takeEvent(w, r)
	case path[0] == "apis" && len(path) == 3:
		s.discover(w, path[1]+"/"+path[2])
	case len(path) == 6: // api/v1/namespaces/NAMESPACE/secrets/NAME
		s.get(w, r, path[4], path[3]+"/"+path[5])
	default:
		s.listOrWatch(w, r, objects.ByName(path[len(path)-1]))
	}
}

func (s *apiServer) takeEvent(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	o, _, err := clientscheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		s.t.Errorf("event: %v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, o.(*eventsv1.Event))
	s.answer(w, map[string]any{"kind": "Event", "apiVersion": "events.k8s.io/v1"}, nil)
}

func (s *apiServer) discover(w http.ResponseWriter, groupVersion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	served := []any{}
	for _, r := range objects.All() {
		if r.GroupVersion() == groupVersion && !apierrors.IsNotFound(s.errs[r.Name]) {
			served = append(served, map[string]any{"name": r.Name})
		}
	}
	s.answer(w, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": groupVersion, "resources": served}, nil)
}

func (s *apiServer) get(w http.ResponseWriter, r *http.Request, resource, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, err := s.objects[resource][key], s.errs[resource]
	if o == nil || s.behind[key] && r.URL.Query().Get("resourceVersion") == "0" {
		err = apierrors.NewNotFound(schema.GroupResource{Resource: resource}, key)
	}
	s.answer(w, o, err)
}

func (s *apiServer) listOrWatch(w http.ResponseWriter, r *http.Request, of *objects.Resource) {
	q := r.URL.Query()
	streamed := q.Get("sendInitialEvents") == "true"
	s.mu.Lock()
	err := s.errs[of.Name]
	verb := "list"
	if q.Get("watch") == "true" {
		verb = "watch"
	}
	if err == nil && streamed && !s.streams {
		err = apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil)
	}
	if err == nil {
		if s.asked[of.Name] == nil {
			s.asked[of.Name] = map[string]int{}
		}
		s.asked[of.Name][verb]++
	}
	if err != nil || verb == "list" {
		defer s.mu.Unlock()
		items := []any{}
		for _, o := range s.objects[of.Name] {
			items = append(items, o)
		}
		s.answer(w, map[string]any{
			"kind": kindOf(of) + "List", "apiVersion": of.GroupVersion(), "metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "items": items,
		}, err)
		return
	}
	s.mu.Unlock()
	since, _ := strconv.Atoi(q.Get("resourceVersion"))
	if streamed {
		since = s.stream(w, of)
	}
	s.watch(w, r, of, since)
}

func kindOf(r *objects.Resource) string { return reflect.TypeOf(r.Example).Elem().Name() }

// stream sends all objects, and ends with a bookmark.
func (s *apiServer) stream(w http.ResponseWriter, of *objects.Resource) (version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	for _, o := range s.objects[of.Name] {
		_ = e.Encode(map[string]any{"type": "ADDED", "object": o})
	}
	_ = e.Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{"kind": kindOf(of), "apiVersion": of.GroupVersion(), "metadata": map[string]any{
		"resourceVersion": strconv.Itoa(s.version), "annotations": map[string]any{metav1.InitialEventsAnnotationKey: "true"},
	}}})
	return s.version
}

// watch sends changes until the client goes, or the resource fails.
func (s *apiServer) watch(w http.ResponseWriter, r *http.Request, of *objects.Resource, since int) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	for {
		s.mu.Lock()
		for _, c := range s.changes {
			if c.resource == of.Name && c.version > since {
				_ = e.Encode(map[string]any{"type": c.kind, "object": c.object})
			}
		}
		since = s.version
		changed, err := s.changed, s.errs[of.Name]
		s.mu.Unlock()
		if err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

func (s *apiServer) answer(w http.ResponseWriter, o any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if status := (*apierrors.StatusError)(nil); errors.As(err, &status) {
		st := status.Status()
		st.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		w.WriteHeader(int(st.Code))
		o = st
	}
	_ = json.NewEncoder(w).Encode(o)
}
