{{/*
Names of the Secrets that pods mount: the operator's, cert-manager's or the chart's. The last two
differ, so that neither is taken for the other where the source is changed.
*/}}

{{- define "postroom.rpc-secret" -}}
{{- if eq .root.Values.internalTls.source "secret" -}}
{{- dig .name "" .root.Values.internalTls.secretNames -}}
{{- else }}{{ include "postroom.component" . }}-{{ ternary "certificate" "rpc" (eq .root.Values.internalTls.source "certManager") }}{{ end -}}
{{- end -}}

{{- define "postroom.tls-secret" -}}
{{- if eq .Values.tls.source "secret" -}}
{{- .Values.tls.secretName -}}
{{- else }}{{ include "postroom.fullname" . }}-tls{{ if eq .Values.tls.source "certManager" }}-certificate{{ end }}{{ end -}}
{{- end -}}

{{- define "postroom.authority-secret" -}}
{{ include "postroom.fullname" . }}-authority
{{- end -}}

{{- define "postroom.ticket-secret" -}}
{{ .Values.tickets.secretName | default (printf "%s-ticket" (include "postroom.fullname" .)) }}
{{- end -}}

{{- define "postroom.secrets-keys-secret" -}}
{{ .Values.secretsKeys.secretName | default (printf "%s-secrets-keys" (include "postroom.fullname" .)) }}
{{- end -}}

{{- define "postroom.tokens-secret" -}}
{{ .Values.admin.tokens.secretName | default (printf "%s-api-tokens" (include "postroom.fullname" .)) }}
{{- end -}}

{{/* What a Secret of the chart's holds already, as a YAML map: (dict "root" $ "secret" "name"). */}}
{{- define "postroom.found" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .secret | default dict -}}
{{ $found.data | default dict | toYaml }}
{{- end -}}
