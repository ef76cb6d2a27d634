{{/* Names and labels. A context of these is (dict "root" $ "name" "imap") where it isn't the chart's own. */}}

{{- define "postroom.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: the longest that is put after it, and what Kubernetes puts after that, fit 63. */}}
{{- define "postroom.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "postroom.component" -}}
{{ include "postroom.fullname" .root }}-{{ .name }}
{{- end -}}

{{/* What selectors ask for: it never changes. */}}
{{- define "postroom.selector" -}}
app.kubernetes.io/name: {{ include "postroom.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "postroom.labels" -}}
{{ include "postroom.selector" . }}
app.kubernetes.io/part-of: postroom
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Of a pod: the chart's version isn't among them, so that a new chart alone restarts nothing. */}}
{{- define "postroom.pod-labels" -}}
{{ include "postroom.selector" . }}
app.kubernetes.io/part-of: postroom
{{- end -}}

{{/* Of an object: its name, namespace and labels. "suffix" follows the component's name. */}}
{{- define "postroom.metadata" -}}
name: {{ include "postroom.component" . }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "postroom.labels" . | nindent 2 }}
{{- end -}}

{{/* Whether a component has a database of the engine: (dict "root" $ "name" "store" "type" "sqlite"). */}}
{{- define "postroom.on" -}}
{{- if eq (index .root.Values .name).database.type .type }}true{{ end -}}
{{- end -}}

{{/* The host:port where an owner serves RPC. */}}
{{- define "postroom.address" -}}
{{ include "postroom.component" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}:7400
{{- end -}}

{{- define "postroom.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ $image.repository }}/{{ .name }}
{{- with index $image.digests .name }}@{{ . }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* The least number of pods that a component has: it decides whether a disruption budget makes sense. */}}
{{- define "postroom.least" -}}
{{- $values := index .root.Values .name -}}
{{- $autoscaling := dig "autoscaling" dict $values -}}
{{- if eq (dig "database" "type" "" $values) "sqlite" }}1
{{- else if $autoscaling.enabled }}{{ $autoscaling.minReplicas }}
{{- else }}{{ $values.replicas }}{{ end -}}
{{- end -}}
