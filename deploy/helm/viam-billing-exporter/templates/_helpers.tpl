{{/* Name of the chart, as a label. */}}
{{- define "viam.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
Name of all objects: the release and the chart, once where one holds the other. Names of pods, of
revisions and of claims are made of it, so that it has to leave them room.
*/}}
{{- define "viam.fullname" -}}
{{- $name := include "viam.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What a StatefulSet may never change: no version is among it. */}}
{{- define "viam.selectorLabels" -}}
app.kubernetes.io/name: {{ include "viam.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "viam.labels" -}}
{{ include "viam.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "viam.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "viam.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "viam.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "viam.keysSecret" -}}
{{- if .Values.keys.data }}
{{- printf "%s-keys" (include "viam.fullname" .) }}
{{- else }}
{{- .Values.keys.existingSecret }}
{{- end }}
{{- end }}

{{/* The path of all pages, without a slash at its end: as exporter/web/location.py has it. */}}
{{- define "viam.prefix" -}}
{{- $path := default (get (urlParse .Values.web.externalUrl) "path") .Values.web.routePrefix | trimAll "/" }}
{{- if $path }}/{{ $path }}{{ end }}
{{- end }}

{{- define "viam.metricsPath" -}}
{{ include "viam.prefix" . }}{{ .Values.web.telemetryPath }}
{{- end }}

{{- define "viam.scheme" -}}
{{ ternary "https" "http" .Values.web.tls }}
{{- end }}

{{/* Port of the billing API. Without a configuration of its own the exporter has its default. */}}
{{- define "viam.apiPort" -}}
{{- $api := default dict .Values.config.api }}
{{- regexFind "[0-9]+$" (default "app.viam.com:443" $api.address) }}
{{- end }}

{{/*
How a probe asks. Who has no certificate cannot ask a server that requires one, so that an open
port has to do then.
*/}}
{{- define "viam.probe" -}}
{{- if .root.Values.web.clientCertificates }}
tcpSocket:
  port: http
{{- else }}
httpGet:
  path: {{ include "viam.prefix" .root }}{{ .path }}
  port: http
  scheme: {{ include "viam.scheme" .root | upper }}
{{- end }}
{{- with .settings }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
What both monitors have. An instance named after its pod keeps its series and counters when the pod
gets another address.
*/}}
{{- define "viam.endpoint" -}}
port: http
path: {{ include "viam.metricsPath" . }}
scheme: {{ include "viam.scheme" . }}
interval: {{ .Values.scrape.interval }}
scrapeTimeout: {{ .Values.scrape.timeout }}
{{- with .Values.scrape.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scrape.basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  - targetLabel: job
    replacement: viam-billing
  - sourceLabels: [__meta_kubernetes_namespace, __meta_kubernetes_pod_name]
    separator: /
    targetLabel: instance
  {{- with .Values.scrape.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.scrape.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
