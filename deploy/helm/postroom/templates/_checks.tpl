{{/* What values can't be together, told in a line each. */}}
{{- define "postroom.checks" -}}
{{- $faults := list -}}
{{- if not .Values.hostname }}{{ $faults = append $faults "hostname: the name by which others know this house is needed" }}{{ end -}}
{{- range $name := list "auth" "store" -}}
{{- $database := (index $.Values $name).database -}}
{{- if and (eq $database.type "postgresql") (not $database.urlSecret.name) -}}
{{- $faults = append $faults (printf "%s.database.urlSecret.name: the Secret with the database's URL is needed" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.tls.source "secret") (not .Values.tls.secretName) -}}
{{- $faults = append $faults "tls.secretName: the Secret with the certificate that clients see is needed" -}}
{{- end -}}
{{- if and (eq .Values.tls.source "certManager") (not .Values.tls.certManager.issuerRef) -}}
{{- $faults = append $faults "tls.certManager.issuerRef: the issuer of the certificate that clients see is needed" -}}
{{- end -}}
{{- if eq .Values.internalTls.source "secret" -}}
{{- range $name := include "postroom.components" $ | fromYamlArray -}}
{{- if not (dig $name "" $.Values.internalTls.secretNames) -}}
{{- $faults = append $faults (printf "internalTls.secretNames.%s: the Secret with the service's own certificate is needed" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.proxyProtocol.enabled (not .Values.proxyProtocol.networks) -}}
{{- $faults = append $faults "proxyProtocol.networks: the balancers whose PROXY headers are believed are needed" -}}
{{- end -}}
{{- if and .Values.proxyProtocol.enabled (not .Values.tls.sidecar.enabled) -}}
{{- range $name := list "smtp" "imap" "pop3" -}}
{{- if (index $.Values $name).enabled -}}
{{- range $port, $open := include "postroom.open" (dict "root" $ "name" $name) | fromYaml -}}
{{- if eq $open.kind "tls" -}}
{{- $faults = append $faults (printf "%s.ports.%s: a front can't end TLS behind PROXY headers; enable tls.sidecar" $name $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "smtp" "imap" "pop3" -}}
{{- $autoscaling := (index $.Values $name).autoscaling -}}
{{- if and $autoscaling.enabled (gt (int $autoscaling.minReplicas) (int $autoscaling.maxReplicas)) -}}
{{- $faults = append $faults (printf "%s.autoscaling: minReplicas is over maxReplicas" $name) -}}
{{- end -}}
{{- if and $autoscaling.enabled (not (or $autoscaling.cpu $autoscaling.connections $autoscaling.queueDepth $autoscaling.metrics)) -}}
{{- $faults = append $faults (printf "%s.autoscaling: no metric is left to scale by" $name) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.store.database.type "postgresql" -}}
{{- if eq (include "postroom.blobs" $) "fs" -}}
{{- if not (has "ReadWriteMany" .Values.store.persistence.accessModes) -}}
{{- $faults = append $faults "store.persistence.accessModes: blobs: fs on PostgreSQL needs ReadWriteMany, as a new pod comes before the old one goes" -}}
{{- end -}}
{{- else if lookup "v1" "PersistentVolumeClaim" .Release.Namespace (include "postroom.claim-name" (dict "root" $ "name" "store")) -}}
{{- $faults = append $faults (printf "store.blobs: mail lies in files of the claim %s; only fs reads it" (include "postroom.claim-name" (dict "root" $ "name" "store"))) -}}
{{- end -}}
{{- end -}}
{{- with $faults }}{{ fail (printf "these values can't be used:\n  %s" (join "\n  " .)) }}{{ end -}}
{{- end -}}
