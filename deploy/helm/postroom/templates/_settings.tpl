{{/* Settings as environment variables, and the files that they name. */}}

{{/* A number as a service reads it: Helm would write large ones as 6.7e+07. */}}
{{- define "postroom.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . }}{{ printf "%.0f" . }}{{ else }}{{ . | toString }}{{ end -}}
{{- else }}{{ . | toString }}{{ end -}}
{{- end -}}

{{/*
The environment of a service: what the chart decides, then what `settings` says; the schema keeps
the two apart. With "job", what a migration needs: no file that the chart makes is there yet.
*/}}
{{- define "postroom.environment" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .name -}}
{{- $prefix := printf "POSTROOM_%s_" (upper .name) -}}
{{- $own := dict
  "POSTROOM_RPC_CERTIFICATE" "/etc/postroom/rpc/tls.crt"
  "POSTROOM_RPC_KEY" "/etc/postroom/rpc/tls.key"
  "POSTROOM_RPC_AUTHORITY" "/etc/postroom/rpc/ca.crt"
  "POSTROOM_HTTP_HOST" (ternary "::" "0.0.0.0" (eq $root.Values.addresses "IPv6"))
  "POSTROOM_HTTP_PORT" 8080
  "POSTROOM_LOG_LEVEL" $root.Values.log.level
  "POSTROOM_LOG_FORMAT" $root.Values.log.format
  "POSTROOM_DRAIN_SECONDS" $root.Values.drain.seconds
-}}
{{- with $root.Values.tracing.endpoint }}{{ $_ := set $own "POSTROOM_OTLP_ENDPOINT" . }}{{ end -}}
{{- $more := dict -}}
{{- if hasKey (include "postroom.callers" $root | fromYaml) .name -}}
{{- $_ := set $more "RPC_LISTEN" (printf "%s:7400" (ternary "[::]" "0.0.0.0" (eq $root.Values.addresses "IPv6"))) -}}
{{- if eq $values.database.type "sqlite" -}}
{{- $_ := set $more "DATABASE_URL" (printf "sqlite:////var/lib/postroom/%s.sqlite3" .name) -}}
{{- else -}}
{{- $_ := set $more "DATABASE_URL_FILE" "/etc/postroom/database/url" -}}
{{- end -}}
{{- else -}}
{{- $_ := set $more "LISTENERS" (include "postroom.listeners" .) -}}
{{- range $port, $open := include "postroom.open" . | fromYaml -}}
{{- with $open.setting }}{{ $_ := set $more . (include "postroom.listeners" (merge (dict "setting" .) $)) }}{{ end -}}
{{- end -}}
{{- range $owner, $callers := include "postroom.callers" $root | fromYaml -}}
{{- if has $.name $callers -}}
{{- $_ := set $more (printf "%s_ADDRESS" (upper $owner)) (include "postroom.address" (dict "root" $root "name" $owner)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq .name "auth" -}}
{{- $_ := set $more "TICKET_KEY" "/etc/postroom/ticket/ticket.key" -}}
{{- $_ := set $more "HASH_THREADS" $values.hashThreads -}}
{{- if not .job }}{{ $_ := set $more "SECRETS_KEYS_FILE" "/etc/postroom/secrets/secrets.keys" }}{{ end -}}
{{- else if eq .name "store" -}}
{{- $keys := list -}}
{{- range $root.Values.tickets.publicKeys }}{{ $keys = append $keys (printf "/etc/postroom/ticket/%s" .) }}{{ end -}}
{{- $_ := set $more "TICKET_PUBLIC_KEYS" (join "," $keys) -}}
{{- $_ := set $more "BLOBS" (include "postroom.blobs" $root) -}}
{{- if include "postroom.volume" . }}{{ $_ := set $more "BLOB_FOLDER" "/var/lib/postroom/blobs" }}{{ end -}}
{{- /* Large messages, while they come: memory is not for them. */}}
{{- if and (include "postroom.volume" .) (not .job) }}{{ $_ := set $own "TMPDIR" "/var/lib/postroom" }}{{ end -}}
{{- else if eq .name "admin" -}}
{{- $_ := set $more "API_TOKENS" "/etc/postroom/secrets/api-tokens" -}}
{{- $_ := set $more "MAIL_HOSTS" $root.Values.hostname -}}
{{- $_ := set $own "XDG_STATE_HOME" "/tmp" -}}
{{- if include "postroom.sidecar" . }}{{ $_ := set $more "PROXY_NETWORKS" "127.0.0.1/32" }}{{ end -}}
{{- if not $root.Values.tls.sidecar.enabled -}}
{{- $more = merge $more (dict "TLS_CERTIFICATE" "/etc/postroom/tls/tls.crt" "TLS_KEY" "/etc/postroom/tls/tls.key") -}}
{{- end -}}
{{- else -}}
{{- $more = merge $more (dict "TLS_CERTIFICATE" "/etc/postroom/tls/tls.crt" "TLS_KEY" "/etc/postroom/tls/tls.key") -}}
{{- with include "postroom.proxies" . }}{{ $_ := set $more "PROXY_NETWORKS" . }}{{ end -}}
{{- if include "postroom.sidecar" . }}{{ $_ := set $more "PROXY_CERTIFICATE" "/etc/postroom/tls/tls.crt" }}{{ end -}}
{{- if $root.Values.tls.clientAuthority.secretName }}{{ $_ := set $more "TLS_CLIENT_AUTHORITY" "/etc/postroom/client-authority/ca.crt" }}{{ end -}}
{{- if eq .name "smtp" -}}
{{- $_ := set $more "HOSTNAME" $root.Values.hostname -}}
{{- $_ := set $more "SPOOL_FOLDER" "/var/spool/postroom" -}}
{{- end -}}
{{- end -}}
{{- range $name := keys $values.secretSettings -}}
{{- $_ := set $more (printf "%s_FILE" $name) (printf "/etc/postroom/settings/%s" $name) -}}
{{- end -}}
{{- range $name := keys $values.fileSettings -}}
{{- $_ := set $more $name (printf "/etc/postroom/settings/%s" $name) -}}
{{- end -}}
{{- range $name, $value := merge $more $values.settings -}}
{{- $_ := set $own (printf "%s%s" $prefix $name) $value -}}
{{- end -}}
{{- range $name, $value := $own }}
- name: {{ $name }}
  value: {{ include "postroom.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* Where store puts larger contents. */}}
{{- define "postroom.blobs" -}}
{{- .Values.store.blobs | default (ternary "fs" "sql" (eq .Values.store.database.type "sqlite")) -}}
{{- end -}}

{{/* Whether a component has a volume of its own that lasts. */}}
{{- define "postroom.volume" -}}
{{- if and (has .name (list "auth" "store")) (eq (index .root.Values .name).database.type "sqlite") }}true
{{- else if and (eq .name "store") (eq (include "postroom.blobs" .root) "fs") }}true{{ end -}}
{{- end -}}

{{/* Of a volume with a database, or with files alone: what holds the one is never taken for the other. */}}
{{- define "postroom.claim-name" -}}
{{ include "postroom.component" . }}{{ if ne (index .root.Values .name).database.type "sqlite" }}-blobs{{ end }}
{{- end -}}

{{/* The mounts of a service's container: (dict "root" $ "name" "imap"), with "job" what a migration needs. */}}
{{- define "postroom.mounts" -}}
{{- $values := index .root.Values .name -}}
- {name: tmp, mountPath: /tmp}
{{- if not .job }}
- {name: rpc, mountPath: /etc/postroom/rpc, readOnly: true}
{{- if include "postroom.volume" . }}
- {name: data, mountPath: /var/lib/postroom}
{{- end }}
{{- if has .name (list "auth" "store") }}
- {name: ticket, mountPath: /etc/postroom/ticket, readOnly: true}
{{- end }}
{{- if has .name (list "auth" "admin") }}
- {name: secrets, mountPath: /etc/postroom/secrets, readOnly: true}
{{- end }}
{{- if include "postroom.shows-certificate" . }}
- {name: tls, mountPath: /etc/postroom/tls, readOnly: true}
{{- end }}
{{- if and (has .name (list "smtp" "imap" "pop3")) .root.Values.tls.clientAuthority.secretName }}
- {name: client-authority, mountPath: /etc/postroom/client-authority, readOnly: true}
{{- end }}
{{- if eq .name "smtp" }}
- {name: spool, mountPath: /var/spool/postroom}
{{- end }}
{{- end }}
{{- if and (hasKey $values "database") (eq (dig "database" "type" "" $values) "postgresql") }}
- {name: database, mountPath: /etc/postroom/database, readOnly: true}
{{- end }}
{{- if or $values.secretSettings $values.fileSettings }}
- {name: settings, mountPath: /etc/postroom/settings, readOnly: true}
{{- end }}
{{- end -}}

{{/* Whether the service itself shows the certificate that clients see. */}}
{{- define "postroom.shows-certificate" -}}
{{- if has .name (list "smtp" "imap" "pop3") }}true
{{- else if and (eq .name "admin") .root.Values.admin.ports.api.enabled (not .root.Values.tls.sidecar.enabled) }}true{{ end -}}
{{- end -}}

{{/* The volumes behind them. */}}
{{- define "postroom.volumes" -}}
{{- $values := index .root.Values .name -}}
- name: tmp
  {{- if and (eq .name "store") (not (include "postroom.volume" .)) }}
  emptyDir: {sizeLimit: 2Gi}
  {{- else }}
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
  {{- end }}
{{- if not .job }}
- name: rpc
  secret: {secretName: {{ include "postroom.rpc-secret" . }}, defaultMode: 0440}
{{- if include "postroom.volume" . }}
- name: data
  persistentVolumeClaim: {claimName: {{ $values.persistence.existingClaim | default (include "postroom.claim-name" .) }}}
{{- end }}
{{- if has .name (list "auth" "store") }}
- name: ticket
  secret:
    secretName: {{ include "postroom.ticket-secret" .root }}
    defaultMode: 0440
    items:
      {{- range ternary (list "ticket.key") .root.Values.tickets.publicKeys (eq .name "auth") }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- if eq .name "auth" }}
- name: secrets
  secret:
    secretName: {{ include "postroom.secrets-keys-secret" .root }}
    defaultMode: 0440
    items: [{key: secrets.keys, path: secrets.keys}]
{{- end }}
{{- if eq .name "admin" }}
- name: secrets
  secret:
    secretName: {{ include "postroom.tokens-secret" .root }}
    defaultMode: 0440
    items: [{key: api-tokens, path: api-tokens}]
{{- end }}
{{- if or (include "postroom.shows-certificate" .) (include "postroom.sidecar" .) }}
- name: tls
  secret:
    secretName: {{ include "postroom.tls-secret" .root }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
{{- end }}
{{- if and (has .name (list "smtp" "imap" "pop3")) .root.Values.tls.clientAuthority.secretName }}
- name: client-authority
  secret:
    secretName: {{ .root.Values.tls.clientAuthority.secretName }}
    defaultMode: 0440
    items: [{key: {{ .root.Values.tls.clientAuthority.key }}, path: ca.crt}]
{{- end }}
{{- if eq .name "smtp" }}
- name: spool
  emptyDir: {sizeLimit: {{ .root.Values.smtp.spoolSize }}}
{{- end }}
{{- end }}
{{- if eq (dig "database" "type" "" $values) "postgresql" }}
- name: database
  secret:
    secretName: {{ $values.database.urlSecret.name }}
    defaultMode: 0440
    items: [{key: {{ $values.database.urlSecret.key }}, path: url}]
{{- end }}
{{- if or $values.secretSettings $values.fileSettings }}
- name: settings
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $from := $values.secretSettings }}
      - secret:
          name: {{ $from.name }}
          items: [{key: {{ $from.key }}, path: {{ $name }}}]
      {{- end }}
      {{- range $name, $from := $values.fileSettings }}
      - {{ ternary "secret" "configMap" (hasKey $from "secret") }}:
          name: {{ $from.secret | default $from.configMap }}
          items: [{key: {{ $from.key }}, path: {{ $name }}}]
      {{- end }}
{{- end }}
{{- end -}}
