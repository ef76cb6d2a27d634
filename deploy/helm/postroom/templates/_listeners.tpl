{{/*
What each front listens on, in one table. A port of kind:
  clear    is the front's own; where balancers speak PROXY, they have another one, "proxied"
  tls      belongs to the sidecar, which hands on to the front on loopback, "front"; without a
           sidecar the front ends TLS on the same port; "told" is what the sidecar calls it
  cluster  is for the cluster alone: balancers don't lead to it
"setting" is where it stands, if not in LISTENERS.
*/}}
{{- define "postroom.ports" -}}
smtp:
  mx: {kind: clear, port: 2525, proxied: 12525}
  submission: {kind: clear, port: 2587, proxied: 12587}
  submissions: {kind: tls, port: 4465, front: 2465}
  lmtp: {kind: cluster, port: 2424}
imap:
  imap: {kind: clear, port: 2143, proxied: 12143}
  imaps: {kind: tls, port: 4993, front: 2993}
pop3:
  pop3: {kind: clear, port: 2110, proxied: 12110}
  pop3s: {kind: tls, port: 4995, front: 2995}
  kpop: {kind: clear, port: 2109, proxied: 12109, setting: KPOP_LISTENERS}
admin:
  api: {kind: tls, port: 8443, front: 8000, told: HTTPS}
{{- end -}}

{{/* Of those, what is switched on: a YAML map by name, with the Service's port as "public". */}}
{{- define "postroom.open" -}}
{{- $values := index .root.Values .name -}}
{{- $all := include "postroom.ports" .root | fromYaml -}}
{{- $open := dict -}}
{{- range $port, $fixed := index $all .name | default dict -}}
{{- $chosen := index $values.ports $port -}}
{{- if $chosen.enabled -}}
{{- $_ := set $open $port (merge (dict "public" (int $chosen.port) "nodePort" $chosen.nodePort) $fixed) -}}
{{- end -}}
{{- end -}}
{{ toYaml $open }}
{{- end -}}

{{/* Whether a component's pods have the sidecar. */}}
{{- define "postroom.sidecar" -}}
{{- if .root.Values.tls.sidecar.enabled -}}
{{- range $open := include "postroom.open" . | fromYaml }}{{ if eq $open.kind "tls" }}true{{ end }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* POSTROOM_<SERVICE>_LISTENERS, or another "setting" of that kind. */}}
{{- define "postroom.listeners" -}}
{{- $proxied := and .root.Values.proxyProtocol.enabled (ne .name "admin") -}}
{{- $beside := .root.Values.tls.sidecar.enabled -}}
{{- $proxy := ternary "" ";proxy" (eq .name "admin") -}}
{{- $found := list -}}
{{- range $port, $open := include "postroom.open" . | fromYaml -}}
{{- if ne ($open.setting | default "LISTENERS") ($.setting | default "LISTENERS") -}}
{{- else if and (eq $open.kind "tls") $beside -}}
{{- $found = append $found (printf "%s=127.0.0.1:%d%s" $port (int $open.front) $proxy) -}}
{{- else -}}
{{- range $suffix, $any := include "postroom.everywhere" $.root | fromYaml -}}
{{- $found = append $found (printf "%s%s=%s:%d%s" $port $suffix $any (int $open.port) (ternary ";tls" "" (eq $open.kind "tls"))) -}}
{{- if and $proxied $open.proxied -}}
{{- $found = append $found (printf "%s-proxied%s=%s:%d;proxy" $port $suffix $any (int $open.proxied)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ join "," $found }}
{{- end -}}

{{/* Where clients come in, by what is put after a listener's name: a listener has addresses of one family. */}}
{{- define "postroom.everywhere" -}}
{{- if ne .Values.addresses "IPv6" }}
"": "0.0.0.0"
{{- end }}
{{- if eq .Values.addresses "IPv6" }}
"": "[::]"
{{- else if eq .Values.addresses "both" }}
"-v6": "[::]"
{{- end }}
{{- end -}}

{{/* Whose PROXY headers a front believes. */}}
{{- define "postroom.proxies" -}}
{{- $networks := list -}}
{{- if include "postroom.sidecar" . }}{{ $networks = append $networks "127.0.0.1/32" }}{{ end -}}
{{- if .root.Values.proxyProtocol.enabled }}{{ $networks = concat $networks .root.Values.proxyProtocol.networks }}{{ end -}}
{{ join "," $networks }}
{{- end -}}

{{/* The port of a pod to which balancers lead: (dict "root" $ "open" $open). */}}
{{- define "postroom.balanced" -}}
{{- if and .root.Values.proxyProtocol.enabled .open.proxied }}{{ .open.proxied }}{{ else }}{{ .open.port }}{{ end -}}
{{- end -}}
