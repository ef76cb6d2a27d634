{{/* The pod of a service, whatever makes it. */}}

{{- define "postroom.pod-security" -}}
runAsNonRoot: true
{{- with .Values.securityContext.user }}
runAsUser: {{ int . }}
runAsGroup: {{ int . }}
fsGroup: {{ int . }}
{{- end }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "postroom.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* `pod` with what a component says differs. */}}
{{- define "postroom.pod-values" -}}
{{- $own := dig "pod" dict (index .root.Values .name) -}}
{{ mergeOverwrite (deepCopy .root.Values.pod) (deepCopy $own) | toYaml }}
{{- end -}}

{{/* What all pods of the release have in common: (dict "root" $ "name" "imap"). */}}
{{- define "postroom.pod-common" -}}
{{- $pod := include "postroom.pod-values" . | fromYaml -}}
automountServiceAccountToken: false
# Services' addresses as variables would be settings that nobody knows.
enableServiceLinks: false
securityContext:
  {{- include "postroom.pod-security" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $pod.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "postroom.spread" -}}
{{- $pod := include "postroom.pod-values" . | fromYaml -}}
{{- with $pod.topologySpreadConstraints }}
{{- toYaml . }}
{{- else -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "postroom.selector" $ | nindent 6 }}
  # Those of one version: an update isn't spread by what it replaces.
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- end -}}

{{/* After the end of the pod's endpoint, before SIGTERM. No image has a shell, and `sleep` as an action is younger than 1.29. */}}
{{- define "postroom.pre-stop" -}}
preStop:
  exec:
    command: [/opt/postroom/bin/python, -I, -S, -c, "import time; time.sleep({{ .Values.drain.preStopSeconds }})"]
{{- end -}}

{{/* Up to this the kubelet waits: the pause, the drain, and what closes after it. */}}
{{- define "postroom.grace" -}}
{{- add (int .Values.drain.preStopSeconds) (int .Values.drain.seconds) 15 -}}
{{- end -}}

{{- define "postroom.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 5
  failureThreshold: {{ max 1 (div (int .Values.probes.startupSeconds) 5) }}
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* The template of a pod: metadata and spec. */}}
{{- define "postroom.pod" -}}
{{- $values := index .root.Values .name -}}
{{- $pod := include "postroom.pod-values" . | fromYaml -}}
metadata:
  labels:
    {{- include "postroom.pod-labels" . | nindent 4 }}
    {{- with $pod.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $pod.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "postroom.component" . }}
  {{- include "postroom.pod-common" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "postroom.grace" .root }}
  topologySpreadConstraints:
    {{- include "postroom.spread" . | trim | nindent 4 }}
  {{- if include "postroom.sidecar" . }}
  initContainers:
    {{- include "postroom.sidecar-container" . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .name }}
      image: {{ include "postroom.image" . }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      securityContext:
        {{- include "postroom.container-security" .root | nindent 8 }}
      env:
        {{- include "postroom.environment" . | trim | nindent 8 }}
        {{- with $pod.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - {name: http, containerPort: 8080}
        {{- if has .name (list "auth" "store") }}
        - {name: rpc, containerPort: 7400}
        {{- end }}
        {{- $beside := include "postroom.sidecar" . }}
        {{- range $port, $open := include "postroom.open" . | fromYaml }}
        {{- if or (ne $open.kind "tls") (not $beside) }}
        - {name: {{ $port }}, containerPort: {{ $open.port }}}
        {{- if and $.root.Values.proxyProtocol.enabled $open.proxied }}
        - {name: {{ $port }}-px, containerPort: {{ $open.proxied }}}
        {{- end }}
        {{- end }}
        {{- end }}
      {{- include "postroom.probes" .root | nindent 6 }}
      lifecycle:
        {{- include "postroom.pre-stop" .root | nindent 8 }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      volumeMounts:
        {{- include "postroom.mounts" . | nindent 8 }}
        {{- with $pod.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "postroom.volumes" . | nindent 4 }}
    {{- with $pod.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
