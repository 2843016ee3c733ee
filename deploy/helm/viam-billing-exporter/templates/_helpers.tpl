{{/* Name of the chart, as a label. */}}
{{- define "viam-billing-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Name of all objects: the release and the chart, once where one holds the other. A StatefulSet's
revisions are its name and eleven characters, and are labels, so that 52 are left. What is longer
is cut, and keeps apart from others by a hash.
*/}}
{{- define "viam-billing-exporter.fullname" -}}
{{- $name := include "viam-billing-exporter.name" . }}
{{- $full := default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride }}
{{- if gt (len $full) 52 }}
{{- printf "%s-%s" ($full | trunc 43 | trimSuffix "-") ($full | sha256sum | trunc 8) }}
{{- else }}
{{- trimSuffix "-" $full }}
{{- end }}
{{- end }}

{{/* What a StatefulSet may never change: no version is among it. */}}
{{- define "viam-billing-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "viam-billing-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/*
Labels of an object: the chart's, those of all objects, and `more`, of which each counts more than
the one before. Those that selectors select by cannot be changed.
*/}}
{{- define "viam-billing-exporter.labels" -}}
{{- with .root }}
{{- $labels := dict "app.kubernetes.io/version" .Chart.AppVersion "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- $selected := include "viam-billing-exporter.selectorLabels" . | fromYaml }}
{{- mergeOverwrite $labels (deepCopy .Values.commonLabels) (deepCopy (default dict $.more)) $selected | toYaml }}
{{- end }}
{{- end }}

{{- define "viam-billing-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "viam-billing-exporter.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "viam-billing-exporter.image" -}}
{{- $registry := default .Values.image.registry (default dict .Values.global).imageRegistry }}
{{- with $registry }}{{ . }}/{{ end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Name of the Secret with the keys; empty if they come from elsewhere. */}}
{{- define "viam-billing-exporter.keysSecret" -}}
{{- if .Values.keys.data }}
{{- printf "%s-keys" (include "viam-billing-exporter.fullname" .) }}
{{- else }}
{{- .Values.keys.existingSecret }}
{{- end }}
{{- end }}

{{/* The path of all pages, without a slash at its end: as exporter/web/location.py has it. */}}
{{- define "viam-billing-exporter.prefix" -}}
{{- $path := default (get (urlParse .Values.web.externalUrl) "path") .Values.web.routePrefix | trimAll "/" }}
{{- if $path }}/{{ $path }}{{ end }}
{{- end }}

{{- define "viam-billing-exporter.metricsPath" -}}
{{ include "viam-billing-exporter.prefix" . }}{{ .Values.web.telemetryPath }}
{{- end }}

{{- define "viam-billing-exporter.scheme" -}}
{{ ternary "https" "http" .Values.web.tls }}
{{- end }}

{{/* Port of the billing API. Without a configuration of its own the exporter has its default. */}}
{{- define "viam-billing-exporter.apiPort" -}}
{{- $api := default dict .Values.config.api }}
{{- regexFind "[0-9]+$" (default "app.viam.com:443" $api.address) }}
{{- end }}

{{/*
How a probe asks, unless the values say how. Who has no certificate cannot ask a server that requires
one, so that an open port has to do then.
*/}}
{{- define "viam-billing-exporter.probe" -}}
{{- if pick .settings "httpGet" "tcpSocket" "exec" "grpc" }}
{{- else if .root.Values.web.clientCertificates }}
tcpSocket:
  port: http
{{- else }}
httpGet:
  path: {{ include "viam-billing-exporter.prefix" .root }}{{ .path }}
  port: http
  scheme: {{ include "viam-billing-exporter.scheme" .root | upper }}
{{- end }}
{{- with .settings }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What both monitors begin with. */}}
{{- define "viam-billing-exporter.monitor" -}}
metadata:
  name: {{ include "viam-billing-exporter.fullname" .root }}
  namespace: {{ default .root.Release.Namespace .monitor.namespace }}
  labels:
    {{- include "viam-billing-exporter.labels" (dict "root" .root "more" .monitor.additionalLabels) | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "viam-billing-exporter.selectorLabels" .root | nindent 6 }}
  {{- if not (has .monitor.namespace (list "" .root.Release.Namespace)) }}
  namespaceSelector:
    matchNames: [{{ .root.Release.Namespace }}]
  {{- end }}
  {{- with .monitor.sampleLimit }}
  sampleLimit: {{ int64 . }}
  {{- end }}
  {{- with .monitor.targetLabels }}
  targetLabels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .monitor.podTargetLabels }}
  podTargetLabels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/*
How both monitors scrape. An instance named after its pod keeps its series and counters when the pod
gets another address.
*/}}
{{- define "viam-billing-exporter.endpoint" -}}
port: http
path: {{ include "viam-billing-exporter.metricsPath" .root }}
scheme: {{ default (include "viam-billing-exporter.scheme" .root) .monitor.scheme }}
interval: {{ .monitor.interval }}
scrapeTimeout: {{ .monitor.scrapeTimeout }}
{{- with .monitor.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  - targetLabel: job
    replacement: viam-billing
  - sourceLabels: [__meta_kubernetes_namespace, __meta_kubernetes_pod_name]
    separator: /
    targetLabel: instance
  {{- with .monitor.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
