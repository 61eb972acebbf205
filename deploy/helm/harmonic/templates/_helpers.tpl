{{- define "harmonic.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "harmonic.selector" -}}
app.kubernetes.io/name: harmonic
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "harmonic.labels" -}}
{{ include "harmonic.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "harmonic.secured" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* What contradicts itself is told here, before anything reaches the cluster. */ -}}
{{- define "harmonic.check" -}}
{{- $sources := 0 -}}
{{- if .Values.models.volume }}{{ $sources = add1 $sources }}{{ end -}}
{{- if .Values.models.image }}{{ $sources = add1 $sources }}{{ end -}}
{{- if .Values.models.store.path }}{{ $sources = add1 $sources }}{{ end -}}
{{- if gt (int $sources) 1 }}{{ fail "models: give one of volume, image and store.path" }}{{ end -}}
{{- if and .Values.models.store.path .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) -}}
{{- fail "models.store is out of reach: list it, and DNS, in networkPolicy.egress" -}}
{{- end -}}
{{- range $name := list "repository" "host" "port" "admin_port" "admin_host" "drain_seconds" "grace_seconds" "keys_file" -}}
{{- if hasKey $.Values.settings $name }}{{ fail (printf "settings.%s is the chart's own" $name) }}{{ end -}}
{{- end -}}
{{- end -}}
