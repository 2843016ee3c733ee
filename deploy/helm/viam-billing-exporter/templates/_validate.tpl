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
{{- range $path, $holder := $holders }}
{{- $key := toString (get (default dict $holder.credentials) "api_key") }}
{{- if not (regexMatch "^(\\$\\{[A-Za-z0-9_]+\\})?$" $key) }}
{{- $wrong = append $wrong (printf "%s.credentials.api_key would be readable in a ConfigMap: put the key into the Secret, and its file name into api_key_file" $path) }}
{{- end }}
{{- end }}
{{- $api := default dict .config.api }}
{{- if and $api.max_requests_per_day (not .persistence.enabled) }}
{{- $wrong = append $wrong "config.api.max_requests_per_day needs persistence.enabled: a new pod would forget the requests of the day" }}
{{- end }}
{{- if not (or .keys.data .keys.existingSecret) }}
{{- $wrong = append $wrong "no API keys: name a Secret in keys.existingSecret" }}
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
{{- if and .scrape.tlsConfig (not .web.tls) }}
{{- $wrong = append $wrong "scrape.tlsConfig needs web.tls" }}
{{- end }}
{{- range .extraArgs }}
{{- $flag := regexFind "^--[a-z.-]*" . }}
{{- with get (include "viam-billing-exporter.ownFlags" . | fromYaml) $flag }}
{{- $wrong = append $wrong (printf "extraArgs: %s is set by the chart: use the value %s" $flag .) }}
{{- end }}
{{- end }}
{{- range .extraEnv }}
{{- if eq .name "POD_NAME" }}
{{- $wrong = append $wrong "extraEnv: POD_NAME is set by the chart: the exporter takes its shard from it" }}
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
--web.listen-address: web.port
--web.systemd-socket: web.port
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
