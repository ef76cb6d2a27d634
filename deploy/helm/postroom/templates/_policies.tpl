{{/* Rules of NetworkPolicies. Peers and ports are numbers of pods, not of Services. */}}

{{- define "postroom.policy-head" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "postroom.metadata" . | nindent 2 }}
  {{- with .hook }}
  annotations:
    helm.sh/hook: {{ . }}
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation
  {{- end }}
spec:
  podSelector:
    matchLabels:
      {{- include "postroom.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* Pods of another component of the release, as a peer. */}}
{{- define "postroom.peer" -}}
- podSelector:
    matchLabels:
      {{- include "postroom.selector" . | nindent 6 }}
{{- end -}}

{{- define "postroom.ingress-metrics" -}}
{{- with .root.Values.networkPolicy.metricsFrom }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - {protocol: TCP, port: 8080}
    {{- if include "postroom.sidecar" $ }}
    - {protocol: TCP, port: 8081}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "postroom.egress-dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns.peers | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{- define "postroom.egress-traces" -}}
{{- if .Values.tracing.endpoint }}
- ports:
    - {protocol: TCP, port: {{ .Values.tracing.port }}}
  {{- with .Values.tracing.peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* To the owners that the table of callers names. */}}
{{- define "postroom.egress-owners" -}}
{{- range $owner, $callers := include "postroom.callers" .root | fromYaml }}
{{- if has $.name $callers }}
- to:
    {{- include "postroom.peer" (dict "root" $.root "name" $owner) | nindent 4 }}
  ports:
    - {protocol: TCP, port: 7400}
{{- end }}
{{- end }}
{{- end -}}

{{- define "postroom.egress-database" -}}
{{- $database := (index .root.Values .name).database -}}
{{- if eq $database.type "postgresql" }}
- ports:
    - {protocol: TCP, port: {{ $database.port }}}
  {{- with $database.peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Of a front: clients come in; it asks the owners. "egress" is what it needs beside that. */}}
{{- define "postroom.front-policy" -}}
{{- $own := (index .root.Values .name).networkPolicy -}}
{{ include "postroom.policy-head" . }}
  ingress:
    {{- range $port, $open := include "postroom.open" . | fromYaml }}
    {{- if eq $open.kind "cluster" }}
    - from:
        - podSelector: {}
      ports:
        - {protocol: TCP, port: {{ $open.port }}}
    {{- else }}
    - ports:
        - {protocol: TCP, port: {{ $open.port }}}
        {{- if and $.root.Values.proxyProtocol.enabled $open.proxied }}
        - {protocol: TCP, port: {{ $open.proxied }}}
        {{- end }}
      {{- with $.root.Values.networkPolicy.clientsFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        {{- include "postroom.peer" (dict "root" $.root "name" "test") | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- end }}
    {{- include "postroom.ingress-metrics" . | nindent 4 }}
    {{- with $own.ingress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    {{- include "postroom.egress-dns" .root | nindent 4 }}
    {{- include "postroom.egress-owners" . | nindent 4 }}
    {{- include "postroom.egress-traces" .root | nindent 4 }}
    {{- with .egress }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $own.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Of an owner: its callers come in; it asks its database. */}}
{{- define "postroom.owner-policy" -}}
{{- $own := (index .root.Values .name).networkPolicy -}}
{{- $peers := list -}}
{{- range $caller := index (include "postroom.callers" .root | fromYaml) .name -}}
{{- if has $caller (include "postroom.components" $.root | fromYamlArray) -}}
{{- $peers = concat $peers (include "postroom.peer" (dict "root" $.root "name" $caller) | fromYamlArray) -}}
{{- end -}}
{{- end -}}
{{- $peers = concat $peers .root.Values.networkPolicy.rpcClients -}}
{{ include "postroom.policy-head" . }}
  ingress:
    {{- with $peers }}
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - {protocol: TCP, port: 7400}
    {{- end }}
    {{- include "postroom.ingress-metrics" . | nindent 4 }}
    {{- with $own.ingress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    {{- include "postroom.egress-dns" .root | nindent 4 }}
    {{- include "postroom.egress-database" . | nindent 4 }}
    {{- include "postroom.egress-traces" .root | nindent 4 }}
    {{- with $own.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
