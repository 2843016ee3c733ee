{{/*
What the schema cannot say, or not in words that help. All of it is shown at once.
*/}}
{{- define "viam-billing-exporter.validate" -}}
{{- $wrong := list }}
{{- with .Values }}
{{- if eq .image.tag "latest" }}
{{- $wrong = append $wrong "image.tag: latest means whatever version a node happened to pull: name a version" }}
{{- end }}
{{- if not .demo }}
{{- $discovery := default dict .config.discovery }}
{{- if not (or .config.organizations $discovery.enabled) }}
{{- $wrong = append $wrong "config names no organization: list some in config.organizations, or set config.discovery.enabled" }}
{{- end }}
{{- $holders := dict "config" .config }}
{{- range $index, $organization := .config.organizations }}
{{- $_ := set $holders (printf "config.organizations[%d]" $index) $organization }}
{{- end }}
{{- $mounted := not (empty (include "viam-billing-exporter.keysSecret" $)) }}
{{- range .extraVolumeMounts }}
{{- $mounted = or $mounted (hasPrefix "/etc/viam-billing/keys" (toString .mountPath)) }}
{{- end }}
{{- range $path, $holder := $holders }}
{{- $credentials := default dict $holder.credentials }}
{{- range $key, $file := pick $credentials "api_key_file" "api_key_id_file" }}
{{- if and (not $mounted) (hasPrefix "/etc/viam-billing/keys/" (toString $file)) }}
{{- $wrong = append $wrong (printf "%s.credentials.%s: nothing is mounted at /etc/viam-billing/keys: name a Secret in keys.existingSecret, mount a volume there by extraVolumeMounts, or name the file of your injector" $path $key) }}
{{- end }}
{{- end }}
{{- if and $credentials.api_key_id $credentials.api_key_id_file }}
{{- $wrong = append $wrong (printf "%s.credentials: has api_key_id and api_key_id_file: set the latter to null" $path) }}
{{- end }}
{{- if not (regexMatch "^(\\$\\{[A-Za-z0-9_]+\\})?$" (toString (get $credentials "api_key"))) }}
{{- $wrong = append $wrong (printf "%s.credentials.api_key would be readable in a ConfigMap: put the key into the Secret, and its file name into api_key_file" $path) }}
{{- end }}
{{- end }}
{{- $api := default dict .config.api }}
{{- if and $api.max_requests_per_day (not .persistence.enabled) }}
{{- $wrong = append $wrong "config.api.max_requests_per_day needs persistence.enabled: a new pod would forget the requests of the day" }}
{{- end }}
{{- end }}
{{- if and (or .web.tls .web.certificateSecret) (not .web.existingSecret) }}
{{- $wrong = append $wrong "web.tls and web.certificateSecret need a web.yml that switches TLS on: name its Secret in web.existingSecret" }}
{{- end }}
{{- if and .web.clientCertificates (not .web.tls) }}
{{- $wrong = append $wrong "web.clientCertificates needs web.tls" }}
{{- end }}
{{- if and .networkPolicy.enabled (not (include "viam-billing-exporter.apiPort" $)) }}
{{- $wrong = append $wrong "networkPolicy needs to know the port: write config.api.address as HOST:PORT, without a variable, or set networkPolicy.enabled to false" }}
{{- end }}
{{- if and .serviceMonitor.enabled .podMonitor.enabled }}
{{- $wrong = append $wrong "serviceMonitor and podMonitor: enable only one of them, or Prometheus scrapes each pod twice" }}
{{- end }}
{{- range $name := list "serviceMonitor" "podMonitor" }}
{{- $monitor := get $.Values $name }}
{{- if and $monitor.tlsConfig (not $.Values.web.tls) (ne $monitor.scheme "https") }}
{{- $wrong = append $wrong (printf "%s.tlsConfig needs web.tls, or the scheme https" $name) }}
{{- end }}
{{- end }}
{{- if gt (int .replicas) 1 }}
{{- if .persistence.existingClaim }}
{{- $wrong = append $wrong "persistence.existingClaim: one claim is for one pod: set replicas to 1" }}
{{- end }}
{{- if or .ingress.enabled (ne .service.type "ClusterIP") }}
{{- $wrong = append $wrong "ingress and service.type: each pod has its own organizations, and each request would show those of another pod: set replicas to 1" }}
{{- end }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.hosts) }}
{{- $wrong = append $wrong "ingress.enabled: name the hosts in ingress.hosts" }}
{{- end }}
{{- with .dashboards }}
{{- if and .grafanaOperator.enabled (not .enabled) }}
{{- $wrong = append $wrong "dashboards.grafanaOperator.enabled needs dashboards.enabled: it takes the dashboards from the ConfigMaps" }}
{{- end }}
{{- if and .grafanaOperator.enabled (not .grafanaOperator.matchLabels) }}
{{- $wrong = append $wrong "dashboards.grafanaOperator.enabled: name labels of your Grafana in dashboards.grafanaOperator.matchLabels" }}
{{- end }}
{{- end }}
{{- range .extraArgs }}
{{- $flag := regexFind "^--[a-z.-]*" . }}
{{- with get (include "viam-billing-exporter.ownFlags" . | fromYaml) $flag }}
{{- $wrong = append $wrong (printf "extraArgs: %s is set by the chart: use the value %s" $flag .) }}
{{- end }}
{{- end }}
{{- range .extraEnv }}
{{- if has .name (list "POD_NAME" "TOTAL_SHARDS") }}
{{- $wrong = append $wrong (printf "extraEnv: %s is set by the chart: the exporter takes its shard from it" .name) }}
{{- end }}
{{- end }}
{{- if and .prometheusRule.enabled (not ($.Files.Glob "files/rules/*")) }}
{{- $wrong = append $wrong "prometheusRule.enabled: run `make helm` first, at the top of the checkout: it puts the rules into the chart" }}
{{- end }}
{{- if and .dashboards.enabled (not ($.Files.Glob "files/dashboards/*")) }}
{{- $wrong = append $wrong "dashboards.enabled: run `make helm` first, at the top of the checkout: it puts the dashboards into the chart" }}
{{- end }}
{{- end }}
{{- if $wrong }}
{{- fail (printf "\n\nvalues that cannot work:\n  - %s\n" (join "\n  - " $wrong)) }}
{{- end }}
{{- end }}

{{/* Flags that the chart sets, with the value that sets each. */}}
{{- define "viam-billing-exporter.ownFlags" -}}
--config.file: config
--storage.path: persistence
--shard: replicas
--total-shards: replicas
--web.listen-address: service.port
--web.systemd-socket: service.port
--web.telemetry-path: web.telemetryPath
--web.external-url: web.externalUrl
--web.route-prefix: web.routePrefix
--web.allowed-host: web.allowedHosts
--web.config.file: web.existingSecret
--web.health-without-auth: web.existingSecret
--log.level: log.level
--log.format: log.format
--demo: demo
{{- end }}
