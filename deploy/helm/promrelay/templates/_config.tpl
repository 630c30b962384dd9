{{- /* merge puts the map "from" into the map "into", at every depth; null removes a key. Sprig's merge keeps true where false should replace it. */ -}}
{{- define "promrelay.merge" -}}
{{- $into := .into -}}
{{- range $key, $value := .from -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $into $key -}}
{{- else if and (kindIs "map" $value) (kindIs "map" (get $into $key)) -}}
{{- include "promrelay.merge" (dict "into" (get $into $key) "from" $value) -}}
{{- else -}}
{{- $_ := set $into $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* walBytes is the size of the volume less a fifth, and less 1Gi at least: wal.min_free_bytes must stay free. */ -}}
{{- define "promrelay.walBytes" -}}
{{- $size := .Values.persistence.size -}}
{{- $unit := get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[MGT]i$" $size) -}}
{{- $mega := mul (regexFind "^[0-9]+" $size | int64) $unit -}}
{{- if lt $mega 2048 -}}
{{- fail (printf "persistence.size is %s: the volume must have 2Gi or more" $size) -}}
{{- end -}}
{{- sub $mega (max (div $mega 5) 1024) -}}MiB
{{- end -}}

{{- /* demand fails with all that is missing, since a user would rather not hear of one value at a time. */ -}}
{{- define "promrelay.demand" -}}
{{- $missing := list -}}
{{- if and (not .values.configFile) (not (dig "global" "external_labels" "cluster" "" .config)) -}}
{{- $missing = append $missing "cluster is not set: give the name of this cluster, such as --set cluster=prod-1. It is the external label cluster of every series." -}}
{{- end -}}
{{- if not .values.image.repository -}}
{{- $missing = append $missing "image.repository is not set: say where you pushed the image, such as --set image.repository=registry.example.com/promrelay." -}}
{{- end -}}
{{- if not (get .config "remote_write") -}}
{{- $missing = append $missing "remoteWrite is empty: give at least one receiver, such as --set 'remoteWrite[0].url=https://metrics.example.com/api/v1/write'." -}}
{{- end -}}
{{- if and .values.nodeMode.enabled .values.namespaces -}}
{{- $missing = append $missing "nodeMode.enabled and namespaces exclude each other: a relay that sees some namespaces sees no Nodes." -}}
{{- end -}}
{{- if $missing -}}
{{- fail (printf "\n%s" (join "\n" $missing)) -}}
{{- end -}}
{{- end -}}

{{- /* nodeJob scrapes the relays on Nodes. Their job label is that of the central one, as alerts and dashboards expect. */ -}}
{{- define "promrelay.nodeJob" -}}
job_name: promrelay-node
kubernetes_sd_configs:
- role: pod
  namespaces:
    names: [{{ .Release.Namespace }}]
relabel_configs:
- source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name, __meta_kubernetes_pod_label_app_kubernetes_io_instance]
  regex: {{ include "promrelay.name" . }}-node;{{ .Release.Name }}
  action: keep
- source_labels: [__meta_kubernetes_pod_node_name]
  target_label: node
- target_label: job
  replacement: promrelay
{{- end -}}

{{- /* config is promrelay.yml. */ -}}
{{- define "promrelay.config" -}}
{{- if .Values.configFile -}}
{{- include "promrelay.demand" (dict "config" (fromYaml .Values.configFile) "values" .Values) -}}
{{- .Values.configFile -}}
{{- else -}}
{{- $labels := deepCopy .Values.externalLabels -}}
{{- with .Values.cluster -}}{{- $_ := set $labels "cluster" . -}}{{- end -}}
{{- $config := dict "global" (dict "external_labels" $labels) "kubernetes" dict -}}
{{- if .Values.namespaces -}}
{{- $_ := set $config "kubernetes" (dict "namespaces" .Values.namespaces) -}}
{{- else if not (kindIs "invalid" .Values.nodes) -}}
{{- $_ := set $config "nodes" (deepCopy .Values.nodes) -}}
{{- end -}}
{{- if not (kindIs "invalid" .Values.monitors) -}}
{{- $_ := set $config "monitors" (deepCopy .Values.monitors) -}}
{{- end -}}
{{- $jobs := list -}}
{{- if eq .Values.selfMonitor "scrapeConfig" -}}
{{- $jobs = append $jobs (dict "job_name" "promrelay" "static_configs" (list (dict "targets" (list "localhost:9099")))) -}}
{{- end -}}
{{- if .Values.nodeMode.enabled -}}
{{- with .Values.nodeMode -}}
{{- $_ := set $config "node_mode" (dict "covers" .covers "selector" (include "promrelay.requirements" $) "kube_proxy_address" .kubeProxyAddress) -}}
{{- end -}}
{{- if eq .Values.selfMonitor "scrapeConfig" -}}
{{- $jobs = append $jobs (include "promrelay.nodeJob" . | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- with concat $jobs .Values.scrapeConfigs -}}{{- $_ := set $config "scrape_configs" . -}}{{- end -}}
{{- $_ := set $config "wal" (dict "dir" "/var/lib/promrelay/wal" "max_bytes" (include "promrelay.walBytes" .)) -}}
{{- if not .Values.persistence.enabled -}}
{{- /* The WAL is lost with the pod, so destinations get more time to catch up. */ -}}
{{- $_ := set $config "relay" (dict "drain_timeout" "10s") -}}
{{- end -}}
{{- $_ := set $config "remote_write" .Values.remoteWrite -}}
{{- include "promrelay.merge" (dict "into" $config "from" .Values.config) -}}
{{- include "promrelay.demand" (dict "config" $config "values" .Values) -}}
{{- toYaml $config -}}
{{- end -}}
{{- end -}}

{{- /* restart is a checksum of the blocks whose changes need a new pod. The relay loads all other changes by itself. */ -}}
{{- define "promrelay.restart" -}}
{{- $config := include "promrelay.config" . | fromYaml -}}
{{- pick $config "kubernetes" "manifests" "wal" | toJson | sha256sum -}}
{{- end -}}
