{{/* What each component's templates are made of. */}}

{{- define "postroom.deployment" -}}
{{- $values := index .root.Values .name -}}
{{- $autoscaling := dig "autoscaling" "enabled" false $values -}}
{{- $alone := eq (dig "database" "type" "" $values) "sqlite" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "postroom.metadata" . | nindent 2 }}
spec:
  {{- if not $autoscaling }}
  replicas: {{ if $alone }}1{{ else }}{{ $values.replicas }}{{ end }}
  {{- else }}
  {{- /* As many as there are: without a number an upgrade that turns autoscaling on would leave one. */}}
  {{- with dig "spec" "replicas" 0 (lookup "apps/v1" "Deployment" .root.Release.Namespace (include "postroom.component" .) | default dict) }}
  replicas: {{ int . }}
  {{- end }}
  {{- end }}
  minReadySeconds: 5
  revisionHistoryLimit: 5
  progressDeadlineSeconds: {{ add (int .root.Values.probes.startupSeconds) 120 }}
  strategy:
    {{- if $alone }}
    # Two would write to one file.
    type: Recreate
    {{- else }}
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}
    {{- end }}
  selector:
    matchLabels:
      {{- include "postroom.selector" . | nindent 6 }}
  template:
    {{- include "postroom.pod" . | nindent 4 }}
{{- end -}}

{{- define "postroom.service-account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "postroom.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end -}}

{{/* The Service for the cluster: RPC, metrics, and clients' ports without PROXY headers. */}}
{{- define "postroom.cluster-service" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "postroom.metadata" . | nindent 2 }}
spec:
  type: ClusterIP
  selector:
    {{- include "postroom.selector" . | nindent 4 }}
  ports:
    - {name: http, port: 8080, targetPort: 8080, protocol: TCP}
    {{- if include "postroom.sidecar" . }}
    - {name: tls-http, port: 8081, targetPort: 8081, protocol: TCP}
    {{- end }}
    {{- if has .name (list "auth" "store") }}
    - {name: rpc, port: 7400, targetPort: 7400, protocol: TCP, appProtocol: grpc}
    {{- end }}
    {{- range $port, $open := include "postroom.open" . | fromYaml }}
    - {name: {{ $port }}, port: {{ $open.public }}, targetPort: {{ $open.port }}, protocol: TCP}
    {{- end }}
{{- end -}}

{{/* The Service for clients, from wherever they come. */}}
{{- define "postroom.client-service" -}}
{{- $service := mergeOverwrite (deepCopy .root.Values.service) (deepCopy (index .root.Values .name).service) -}}
{{- $ports := dict -}}
{{- range $port, $open := include "postroom.open" . | fromYaml -}}
{{- if ne $open.kind "cluster" }}{{ $_ := set $ports $port $open }}{{ end -}}
{{- end -}}
{{- if and $ports (ne $service.type "ClusterIP") -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "postroom.metadata" (merge (dict "suffix" "clients") .) | nindent 2 }}
  {{- with $service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  externalTrafficPolicy: {{ $service.externalTrafficPolicy }}
  {{- if eq $service.type "LoadBalancer" }}
  {{- with $service.loadBalancerIP }}
  loadBalancerIP: {{ . }}
  {{- end }}
  {{- with $service.loadBalancerClass }}
  loadBalancerClass: {{ . }}
  {{- end }}
  {{- with $service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $service.ipFamilyPolicy }}
  ipFamilyPolicy: {{ . }}
  {{- end }}
  {{- with $service.ipFamilies }}
  ipFamilies:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    {{- include "postroom.selector" . | nindent 4 }}
  ports:
    {{- range $port, $open := $ports }}
    - name: {{ $port }}
      port: {{ $open.public }}
      targetPort: {{ include "postroom.balanced" (dict "root" $.root "open" $open) }}
      protocol: TCP
      {{- with $open.nodePort }}
      nodePort: {{ int . }}
      {{- end }}
    {{- end }}
{{- end -}}
{{- end -}}

{{- define "postroom.autoscaler" -}}
{{- $autoscaling := (index .root.Values .name).autoscaling -}}
{{- if $autoscaling.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "postroom.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "postroom.component" . }}}
  minReplicas: {{ $autoscaling.minReplicas }}
  maxReplicas: {{ $autoscaling.maxReplicas }}
  metrics:
    {{- with $autoscaling.cpu }}
    - type: ContainerResource
      containerResource:
        container: {{ $.name }}
        name: cpu
        target: {type: AverageValue, averageValue: {{ . | quote }}}
    {{- end }}
    {{- with $autoscaling.connections }}
    - type: Pods
      pods:
        metric: {name: postroom_open_connections}
        target: {type: AverageValue, averageValue: {{ int . | quote }}}
    {{- end }}
    {{- with $autoscaling.queueDepth }}
    - type: External
      external:
        metric:
          name: postroom_store_queue_entries
          selector: {matchLabels: {state: waiting}}
        target: {type: AverageValue, averageValue: {{ int . | quote }}}
    {{- end }}
    {{- with $autoscaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $autoscaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* None for a single pod: it could only forbid that its node is drained. */}}
{{- define "postroom.disruption-budget" -}}
{{- $budget := (index .root.Values .name).disruptionBudget -}}
{{- if and $budget.enabled (gt (include "postroom.least" . | int) 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "postroom.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $budget.maxUnavailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "postroom.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* Kept when the release goes: it holds mail, or who people are. */}}
{{- define "postroom.claim" -}}
{{- $values := (index .root.Values .name).persistence -}}
{{- if and (include "postroom.volume" .) (not $values.existingClaim) -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ include "postroom.claim-name" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "postroom.labels" . | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
    {{- with $values.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  accessModes:
    {{- toYaml $values.accessModes | nindent 4 }}
  {{- with $values.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests: {storage: {{ $values.size }}}
{{- end -}}
{{- end -}}

{{/* A job before an upgrade, and before an install: pods meet a schema that is theirs. */}}
{{- define "postroom.migrations" -}}
{{- $job := merge (dict "job" true) . -}}
{{- $values := .root.Values.migrations -}}
{{- $pod := mergeOverwrite (deepCopy .root.Values.pod) (deepCopy (index .root.Values .name).pod) -}}
{{- $name := printf "%s-migrations" (include "postroom.component" .) -}}
{{- if and $values.enabled (eq (index .root.Values .name).database.type "postgresql") -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "postroom.metadata" (merge (dict "suffix" "migrations") .) | nindent 2 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: "-10"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
automountServiceAccountToken: false
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "postroom.metadata" (merge (dict "suffix" "migrations") .) | nindent 2 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ $values.deadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "postroom.pod-labels" (dict "root" .root "name" (printf "%s-migrations" .name)) | nindent 8 }}
    spec:
      serviceAccountName: {{ $name }}
      restartPolicy: Never
      {{- include "postroom.pod-common" . | nindent 6 }}
      containers:
        - name: migrations
          image: {{ include "postroom.image" . }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: [/opt/postroom/bin/python, -m, postroom_{{ .name }}.migrations]
          securityContext:
            {{- include "postroom.container-security" .root | nindent 12 }}
          env:
            {{- include "postroom.environment" $job | trim | nindent 12 }}
            {{- with $pod.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            {{- include "postroom.mounts" $job | nindent 12 }}
            {{- with $pod.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "postroom.volumes" $job | nindent 8 }}
        {{- with $pod.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}
{{- end -}}
