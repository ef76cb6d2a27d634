{{/*
The sidecar that ends implicit TLS. It starts before the front and ends after it, so that whoever is
connected through it sees the drain.
*/}}
{{- define "postroom.sidecar-container" -}}
{{- $open := include "postroom.open" . | fromYaml -}}
- name: tls
  image: {{ include "postroom.image" (dict "root" .root "name" "tls") }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  restartPolicy: Always
  securityContext:
    {{- include "postroom.container-security" .root | nindent 4 }}
  env:
    {{- range $port, $one := $open }}
    {{- if eq $one.kind "tls" }}
    - name: POSTROOM_{{ upper $port }}_BIND
      value: {{ printf "%s:%d" (ternary "::" "" $.root.Values.ipv6) (int $one.port) | quote }}
    - name: POSTROOM_{{ upper $port }}_FRONT
      value: {{ printf "127.0.0.1:%d" (int $one.front) | quote }}
    {{- end }}
    {{- end }}
    {{- if .root.Values.tls.clientAuthority.secretName }}
    - name: POSTROOM_TLS_CLIENT_AUTHORITY
      value: /etc/postroom/client-authority/ca.crt
    {{- end }}
  ports:
    {{- range $port, $one := $open }}
    {{- if eq $one.kind "tls" }}
    - {name: {{ $port }}, containerPort: {{ $one.port }}}
    {{- end }}
    {{- end }}
  {{- range $port, $one := $open }}
  {{- if eq $one.kind "tls" }}
  startupProbe:
    tcpSocket: {port: {{ $port }}}
    periodSeconds: 1
    failureThreshold: 60
  livenessProbe:
    tcpSocket: {port: {{ $port }}}
    periodSeconds: 10
    failureThreshold: 6
  readinessProbe:
    tcpSocket: {port: {{ $port }}}
    periodSeconds: 5
  {{- end }}
  {{- end }}
  resources:
    {{- toYaml .root.Values.tls.sidecar.resources | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: tls, mountPath: /etc/postroom/tls, readOnly: true}
    {{- if and (ne .name "admin") .root.Values.tls.clientAuthority.secretName }}
    - {name: client-authority, mountPath: /etc/postroom/client-authority, readOnly: true}
    {{- end }}
{{- end -}}
