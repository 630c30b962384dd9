{{- define "promrelay.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "promrelay.fullname" -}}
{{- $name := include "promrelay.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "promrelay.selectorLabels" -}}
app.kubernetes.io/name: {{ include "promrelay.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "promrelay.labels" -}}
{{ include "promrelay.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "promrelay.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "promrelay.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false: set serviceAccount.name to the account that the pod runs as" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "promrelay.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* subjects of a binding: the account of the pod. */ -}}
{{- define "promrelay.subjects" -}}
- kind: ServiceAccount
  name: {{ include "promrelay.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "promrelay.probe" -}}
port: http-web
{{- if ne .Values.probes.scheme "HTTP" }}
scheme: {{ .Values.probes.scheme }}
{{- end }}
{{- with .Values.probes.httpHeaders }}
httpHeaders:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- /* requirements turns matchExpressions into a label selector in one string. */ -}}
{{- define "promrelay.requirements" -}}
{{- $all := list -}}
{{- range .Values.nodeMode.matchExpressions -}}
{{- $values := join "," (sortAlpha (default list .values)) -}}
{{- $all = append $all (get (dict "In" (printf "%s in (%s)" .key $values) "NotIn" (printf "%s notin (%s)" .key $values) "Exists" .key "DoesNotExist" (printf "!%s" .key)) .operator) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}

{{- define "promrelay.nodeSelectorLabels" -}}
app.kubernetes.io/name: {{ include "promrelay.name" . }}-node
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "promrelay.nodeLabels" -}}
{{ include "promrelay.nodeSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}
