{{/* Refuses values that render but cannot work. */}}
{{- define "rproxy.validate" -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled }}
{{- fail "autoscaling.enabled and keda.enabled exclude each other: both would own the replica count" }}
{{- end }}
{{- if and (eq .Values.kind "DaemonSet") (or .Values.autoscaling.enabled .Values.keda.enabled) }}
{{- fail "a DaemonSet has one pod per node: switch autoscaling and keda off" }}
{{- end }}
{{- if and (eq .Values.mode "sidecar") (semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail "mode: sidecar needs native sidecars (Kubernetes 1.29)" }}
{{- end }}
{{- range $what, $scaler := dict "autoscaling" .Values.autoscaling "keda" .Values.keda }}
{{- if and $scaler.enabled (gt (int $scaler.minReplicas) (int $scaler.maxReplicas)) }}
{{- fail (printf "%s.minReplicas is %d, more than maxReplicas, which is %d" $what (int $scaler.minReplicas) (int $scaler.maxReplicas)) }}
{{- end }}
{{- end }}
{{- if and (eq (toString .Values.serviceMonitor.enabled) "true") (not .Values.metrics.service.enabled) }}
{{- fail "serviceMonitor.enabled needs metrics.service.enabled: it would have no Service to select (podMonitor needs none)" }}
{{- end }}
{{- if and .Values.keda.enabled (not .Values.keda.triggers) }}
{{- fail "keda.triggers is empty: KEDA would have nothing to scale on" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.parentRefs is empty: the route would belong to no Gateway" }}
{{- end }}
{{- range $what, $port := dict "tests.port" (.Values.tests.enabled | ternary .Values.tests.port "")
    "ingress.servicePort" (.Values.ingress.enabled | ternary .Values.ingress.servicePort "") }}
{{- if and $port (not (get $.Values.ports $port)) }}
{{- fail (printf "%s is %q, but `ports` has no such port" $what $port) }}
{{- end }}
{{- end }}
{{- if not (or .Values.existingConfigMap (include "rproxy.keptConfigMap" .)) }}
{{- include "rproxy.validatePorts" . }}
{{- end }}
{{- end }}

{{/* Every port of `ports` must have a listener, and every TCP listener a port. */}}
{{- define "rproxy.validatePorts" -}}
{{- $listening := list }}
{{- range default (list (dict "address" "0.0.0.0:8080")) .Values.config.listeners }}
{{- $address := toString (default "0.0.0.0:8080" .address) }}
{{- if not (hasPrefix "unix:" $address) }}
{{- $listening = append $listening (regexFind "[0-9]+$" $address) }}
{{- end }}
{{- end }}
{{- $declared := list }}
{{- range $name, $port := .Values.ports }}
{{- if $port }}
{{- $declared = append $declared (toString (int $port.containerPort)) }}
{{- if not (has (toString (int $port.containerPort)) $listening) }}
{{- fail (printf "ports.%s.containerPort is %d, but no listener of config has that port (they have %s)" $name (int $port.containerPort) (join ", " $listening)) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $listening }}
{{- if not (has . $declared) }}
{{- fail (printf "config.listeners has port %s, but `ports` does not: no Service and no NetworkPolicy would let traffic in" .) }}
{{- end }}
{{- end }}
{{- end }}
