{{/*
The sidecar that ends implicit TLS (deploy/tls). It starts before the front and ends after it, so
that whoever is connected through it sees the drain.
*/}}
{{- define "postroom.sidecar-container" -}}
{{- $http := ternary "[::]" "" (eq .root.Values.addresses "IPv6") -}}
{{- $asks := and (ne .name "admin") .root.Values.tls.clientAuthority.secretName -}}
- name: tls
  image: {{ include "postroom.image" (dict "root" .root "name" "tls") }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  restartPolicy: Always
  securityContext:
    {{- include "postroom.container-security" .root | nindent 4 }}
  env:
    - {name: POSTROOM_TLS_CERTIFICATE, value: /etc/postroom/tls/tls.crt}
    - {name: POSTROOM_TLS_HTTP_BIND, value: "{{ $http }}:8081"}
    # The front is gone when the sidecar is told to end.
    - {name: POSTROOM_TLS_GRACE, value: 5s}
    {{- if $asks }}
    - {name: POSTROOM_TLS_CLIENT_AUTHORITY, value: /etc/postroom/client-authority/ca.crt}
    {{- end }}
    {{- if and .root.Values.proxyProtocol.enabled (ne .name "admin") }}
    - {name: POSTROOM_TLS_PROXY_NETWORKS, value: {{ join " " .root.Values.proxyProtocol.networks | quote }}}
    {{- end }}
    {{- range $port, $open := include "postroom.open" . | fromYaml }}
    {{- if eq $open.kind "tls" }}
    {{- $told := $open.told | default (upper $port) }}
    {{- $binds := list }}
    {{- range include "postroom.everywhere" $.root | fromYaml }}{{ $binds = append $binds (printf "%s:%d" . (int $open.port)) }}{{ end }}
    - {name: POSTROOM_{{ $told }}_BIND, value: "{{ join "," $binds }}"}
    - {name: POSTROOM_{{ $told }}_FRONT, value: "127.0.0.1:{{ $open.front }}"}
    {{- end }}
    {{- end }}
  ports:
    - {name: tls-http, containerPort: 8081}
    {{- range $port, $open := include "postroom.open" . | fromYaml }}
    {{- if eq $open.kind "tls" }}
    - {name: {{ $port }}, containerPort: {{ $open.port }}}
    {{- end }}
    {{- end }}
  startupProbe:
    httpGet: {path: /livez, port: tls-http}
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /livez, port: tls-http}
    periodSeconds: 10
    failureThreshold: 6
  readinessProbe:
    httpGet: {path: /readyz, port: tls-http}
    periodSeconds: 5
  resources:
    {{- toYaml .root.Values.tls.sidecar.resources | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: tls, mountPath: /etc/postroom/tls, readOnly: true}
    {{- if $asks }}
    - {name: client-authority, mountPath: /etc/postroom/client-authority, readOnly: true}
    {{- end }}
{{- end -}}
