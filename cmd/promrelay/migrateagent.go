package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"k8s.io/client-go/tools/clientcmd"

	"promrelay/config"
	"promrelay/config/agent"
	"promrelay/informers/cluster"
	"promrelay/targets"
)

// migrateAgentOptions are the flags of migrate prometheusagent and migrate prometheus.
type migrateAgentOptions struct {
	Source, Namespace, Output, Patch string
	Cluster                          config.Kubernetes
}

func migrateAgentCommand(app *kingpin.Application) subcommand {
	return migrateObjectCommand(app, agent.KindAgent)
}

func migratePrometheusCommand(app *kingpin.Application) subcommand {
	return migrateObjectCommand(app, agent.KindPrometheus)
}

func migrateObjectCommand(app *kingpin.Application, kind string) subcommand {
	c := migrateClause(app).Command(strings.ToLower(kind), "Make a configuration from a "+kind+" of prometheus-operator."+
		examples("migrate "+strings.ToLower(kind)+" object.yaml --output=promrelay.yml", "migrate "+strings.ToLower(kind)+" monitoring/main --output=promrelay.yml --patch=patch.yaml"))
	var o migrateAgentOptions
	c.Arg("source", "A file with the object, and if you like the Secrets that it names (- is standard input), or NAMESPACE/NAME of an object in the cluster.").Required().StringVar(&o.Source)
	c.Flag("namespace", "Namespace of an object that has none in the file.").Default("default").StringVar(&o.Namespace)
	c.Flag("output", "File for the configuration. (default standard output)").StringVar(&o.Output)
	c.Flag("patch", "File for the patch of the StatefulSet that mounts Secrets. (default the report shows it)").StringVar(&o.Patch)
	clusterFlags(c, &o.Cluster, "(default $KUBECONFIG, else ~/.kube/config)")
	return subcommand{c, func() error { return migrateAgent(os.Stdout, os.Stderr, kind, o) }}
}

// readWithin bounds how long an object is asked for.
const readWithin = 30 * time.Second

var objectName = regexp.MustCompile(`^[a-z0-9][-a-z0-9]*/[a-z0-9][-.a-z0-9]*$`)

// migrateAgent writes the configuration that an object becomes, and a report.
func migrateAgent(out, report io.Writer, kind string, o migrateAgentOptions) error {
	object, value, err := o.read(kind)
	if err != nil {
		return err
	}
	result, err := agent.Translate(object, agent.Options{Value: value})
	if err != nil {
		return fmt.Errorf("%s: %w", object, err)
	}
	text, err := result.YAML()
	if err != nil {
		return err
	}
	patch, err := result.Patch(name)
	if err != nil {
		return err
	}
	if o.Patch != "" && patch != nil {
		if err := os.WriteFile(o.Patch, patch, 0o644); err != nil { //nolint:gosec // it names Secrets and does not hold them
			return fmt.Errorf("--patch: %w", err)
		}
	}
	m := migration{config: text, report: func(w io.Writer) { writeAgentReport(w, object, result, patch, o.Patch) }}
	return m.write(out, report, o.Output)
}

// read returns the object, and a function that returns values of Secrets and ConfigMaps.
func (o migrateAgentOptions) read(kind string) (*agent.Object, func(agent.Ref) (string, error), error) {
	if _, err := os.Stat(o.Source); err != nil && objectName.MatchString(o.Source) {
		return o.fromCluster(kind)
	}
	docs, err := readObjects(o.Source)
	if err != nil {
		return nil, nil, err
	}
	values := valuesOf(docs)
	var found []*agent.Object
	for _, d := range docs.ofKind(kind) {
		object, err := agent.Decode(d)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", o.Source, err)
		}
		if object.Namespace == "" {
			object.Namespace = o.Namespace
		}
		found = append(found, object)
	}
	switch len(found) {
	case 1:
		return found[0], func(r agent.Ref) (string, error) { return values.get(found[0].Namespace, r) }, nil
	case 0:
		return nil, nil, fmt.Errorf("%s: it holds no %s; it holds %s", o.Source, kind, docs.kinds())
	}
	names := []string{}
	for _, f := range found {
		names = append(names, f.Namespace+"/"+f.Name)
	}
	return nil, nil, fmt.Errorf("%s: it holds %d objects of kind %s: %s; leave one in it", o.Source, len(found), kind, strings.Join(names, ", "))
}

func (o migrateAgentOptions) fromCluster(kind string) (*agent.Object, func(agent.Ref) (string, error), error) {
	k := o.Cluster
	if k.Kubeconfig == "" {
		k.Kubeconfig = cmp.Or(os.Getenv(clientcmd.RecommendedConfigPathEnvVar), clientcmd.RecommendedHomeFile)
	}
	c, err := cluster.New(&k, name+"/"+version, nil)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	namespace, object, _ := strings.Cut(o.Source, "/")
	text, err := c.Agent(ctx, kind, namespace, object)
	if err != nil {
		return nil, nil, err
	}
	decoded, err := agent.Decode(text)
	if err != nil {
		return nil, nil, err
	}
	return decoded, func(r agent.Ref) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), readWithin)
		defer cancel()
		return readValue(ctx, c, namespace, r)
	}, nil
}

// readValue reads a key of a Secret or ConfigMap of the cluster.
func readValue(ctx context.Context, c *cluster.Cluster, namespace string, r agent.Ref) (string, error) {
	data, err := c.Read(ctx, targets.Ref{ConfigMap: r.ConfigMap, Namespace: namespace, Name: r.Name}, true)
	if err != nil {
		return "", err
	}
	value, ok := data[r.Key]
	if !ok {
		return "", fmt.Errorf("namespace %s has no such key or object", namespace)
	}
	return string(value), nil
}

// writeAgentReport says what became of the object, and what to do.
func writeAgentReport(w io.Writer, o *agent.Object, r *agent.Result, patch []byte, file string) {
	fmt.Fprintf(w, "%s became a configuration.\n", o)
	if len(r.Remarks) > 0 {
		fmt.Fprintln(w, "\nFields that mean something else, or have no counterpart:")
	}
	var texts []string
	fields := map[string][]string{}
	for _, m := range r.Remarks {
		if fields[m.Text] == nil {
			texts = append(texts, m.Text)
		}
		fields[m.Text] = append(fields[m.Text], m.Field)
	}
	for _, text := range texts {
		fmt.Fprintf(w, "- %s:\n  %s\n", strings.Join(fields[text], ", "), text)
	}
	if r.SelfJob() {
		fmt.Fprintf(w, "\nThe job %s scrapes the relay itself, for its alerts and dashboards. Remove it if a ServiceMonitor does that.\n", agent.OwnJob)
	}
	switch {
	case patch == nil:
		fmt.Fprintln(w, "\nIt needs no files of Secrets.")
	case file != "":
		fmt.Fprintf(w, "\n%s mounts the Secrets that the configuration needs. They are in namespace %s: run the relay there, or copy them.\n", file, o.Namespace)
	default:
		fmt.Fprintf(w, "\nThe relay's pod needs these Secrets, which are in namespace %s. Run the relay there, or copy them. As a patch of the StatefulSet:\n\n%s", o.Namespace, patch)
	}
}
