package agent

import (
	"maps"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

// The texts for fields that have no counterpart in the configuration file.
const (
	onePod        = "one relay scrapes everything: it takes the samples of all pods. docs/operations.md says how much it takes"
	ofThePod      = "set it for the relay's pod: a value of the chart, or a patch of the StatefulSet"
	ofThePages    = "the relay's pages have flags for it: --web.listen-address, --web.config.file"
	ofTheLog      = "the relay has a log and a volume of its own: wal.max_bytes, and the size of the claim"
	ofTheImage    = "the relay is one image, which holds the translation of monitors too"
	ofRules       = "the relay evaluates no rules. Let something at the receiver do it before you stop this Prometheus: the ruler of Mimir or Thanos, vmalert, Nightingale"
	ofTheServer   = "it is for a Prometheus server, which stores samples, evaluates rules and answers queries. The relay does none of it: the receiver does"
	noReceiver    = "the relay takes no samples from others: let them write to the receiver"
	noCounterpart = "it has no counterpart, and needs none"
)

// advice says of fields of the spec what to do in place of them.
var advice = map[string]string{
	"replicas": onePod, "shards": onePod, "shardingStrategy": onePod,
	"mode": "the relay's node mode is the counterpart of DaemonSet: run it with --kubernetes.node-name. Only PodMonitors are taken here, as by the operator",

	"podMetadata": ofThePod, "imagePullPolicy": ofThePod, "imagePullSecrets": ofThePod, "resources": ofThePod, "nodeSelector": ofThePod,
	"schedulerName": ofThePod, "automountServiceAccountToken": ofThePod, "affinity": ofThePod, "tolerations": ofThePod,
	"topologySpreadConstraints": ofThePod, "securityContext": ofThePod, "dnsPolicy": ofThePod, "dnsConfig": ofThePod,
	"hostAliases": ofThePod, "hostNetwork": ofThePod, "hostUsers": ofThePod, "priorityClassName": ofThePod, "enableServiceLinks": ofThePod,
	"terminationGracePeriodSeconds": ofThePod, "minReadySeconds": ofThePod,
	"serviceAccountName": "the relay has a ServiceAccount of its own. Copy annotations such as eks.amazonaws.com/role-arn to it",
	"containers":         "if a sidecar signs or forwards remote_write, let the relay do it (sigv4, azuread, oauth2), or add the container to its pod",
	"initContainers":     "add them to the relay's pod if they prepare files that the configuration names",
	"volumes":            "add them to the relay's pod, with volumeMounts, if the configuration names files of them",
	"volumeMounts":       "add them to the relay's container at the same paths, if the configuration names files of them",

	"version": ofTheImage, "image": ofTheImage, "baseImage": ofTheImage, "tag": ofTheImage, "sha": ofTheImage,
	"paused": noCounterpart, "podManagementPolicy": noCounterpart, "updateStrategy": noCounterpart, "reloadStrategy": noCounterpart,
	"maximumStartupDurationSeconds": noCounterpart, "serviceName": noCounterpart,
	"logLevel": "flag --log.level", "logFormat": "flag --log.format",
	"ruleSelector": ofRules, "ruleNamespaceSelector": ofRules, "rules": ofRules, "alerting": ofRules, "additionalAlertRelabelConfigs": ofRules,
	"additionalAlertManagerConfigs": ofRules, "evaluationInterval": ofRules, "ruleQueryOffset": ofRules,
	"thanos":     "the sidecar uploads blocks of this Prometheus. Write to Thanos Receive instead, see docs/receivers.md",
	"remoteRead": "the relay answers no queries: dashboards ask the receiver",
	"portName":   ofThePages, "listenLocal": ofThePages, "web": ofThePages, "externalUrl": ofThePages, "routePrefix": ofThePages,
	"storage": ofTheLog, "persistentVolumeClaimRetentionPolicy": ofTheLog, "walCompression": ofTheLog, "tsdb": ofTheLog,
	"enableRemoteWriteReceiver": noReceiver, "enableOTLPReceiver": noReceiver, "remoteWriteReceiverMessageVersions": noReceiver, "otlp": noReceiver,
	"enableFeatures":  "what the relay has of them are keys: global.extra_scrape_metrics is written for extra-scrape-metrics, scrapeNativeHistograms stands for native-histograms",
	"additionalArgs":  "see the flags of promrelay run",
	"tracingConfig":   "the relay sends no traces",
	"apiserverConfig": "write kubernetes.kubeconfig, which says how the API server is reached",
}

// translatedFields are fields of the spec that become something else than a field of monitors.
var translatedFields = []string{
	"remoteWrite", "additionalScrapeConfigs", "prometheusExternalLabelName", "replicaExternalLabelName", "runtime", "secrets", "configMaps",
}

// remarks tells of fields that have no counterpart or another meaning here.
func (t *translation) remarks() {
	for _, field := range slices.Sorted(maps.Keys(t.o.spec)) {
		if slices.Contains(translatedFields, field) || slices.Contains(MonitorFields, field) {
			continue
		}
		text, ok := advice[field]
		if !ok {
			text = ofTheServer
		}
		t.remark(field, "%s", text)
	}
	for _, path := range t.o.unknown {
		t.remark(path, "this release of promrelay does not know the field: it is left out")
	}
	if _, ok := t.o.spec["arbitraryFSAccessThroughSMs"]; !ok && t.out.Monitors != nil {
		t.remark("arbitraryFSAccessThroughSMs", "monitors read no file of the relay but the service account's token for kubelets and the API server. With the operator they may read any: if some do, write deny: false")
	}
	if t.o.common.ServiceDiscoveryRole == nil && t.out.Monitors != nil {
		t.remark("serviceDiscoveryRole", "the relay reads EndpointSlices by default, the operator Endpoints. Labels are the same; write Endpoints if you have Endpoints without slices")
	}
	if f := t.o.common.ScrapeFailureLogFile; f != nil {
		t.remark("scrapeFailureLogFile", "the relay's pod needs a volume for %q; the operator mounts one", *f)
	}
	if slices.ContainsFunc(t.o.common.ScrapeClasses, namesSecrets) {
		t.remark("scrapeClasses", "the relay reads Secrets of scrape classes in its own namespace: run it in %s, or copy them", t.o.Namespace)
	}
	if slices.ContainsFunc(t.o.common.RemoteWrite, func(rw monitoringv1.RemoteWriteSpec) bool { return rw.MessageVersion == nil }) {
		t.remark("remoteWrite", "without messageVersion the relay tries 2.0 first, and 1.0 where the receiver does not take it; Prometheus takes 1.0 alone")
	}
}

func namesSecrets(c monitoringv1.ScrapeClass) bool {
	if c.Authorization != nil && c.Authorization.Credentials != nil {
		return true
	}
	if c.TLSConfig == nil {
		return false
	}
	_, ca := either(c.TLSConfig.CA)
	_, cert := either(c.TLSConfig.Cert)
	return ca || cert || c.TLSConfig.KeySecret != nil
}
