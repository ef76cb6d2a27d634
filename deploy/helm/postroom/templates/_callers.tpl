{{/*
Who calls whom: the table of libs/chassis/src/postroom_chassis/rpc/callers.py by pods, which a test
compares with it. Policies and the services' addresses follow it.
*/}}
{{- define "postroom.callers" -}}
auth: [admin, imap, pop3, smtp]
store: [admin, imap, pop3, smtp]
{{- end -}}

{{/* The components that are there: a YAML list. */}}
{{- define "postroom.components" -}}
{{- $there := list "auth" "store" -}}
{{- range $name := list "smtp" "imap" "pop3" "admin" -}}
{{- if (index $.Values $name).enabled }}{{ $there = append $there $name }}{{ end -}}
{{- end -}}
{{ toYaml $there }}
{{- end -}}
