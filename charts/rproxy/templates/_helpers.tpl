{{/* ---- Names ---- */}}

{{- define "rproxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Cut to 52 characters: the longest suffix below is "-config-check". */}}
{{- define "rproxy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "rproxy.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* The ConfigMap the proxy reads: the chart's own or the user's. */}}
{{- define "rproxy.configMapName" -}}
{{- default (include "rproxy.fullname" .) .Values.existingConfigMap }}
{{- end }}

{{- define "rproxy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "rproxy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* A digest beats a tag: it names the bytes. */}}
{{- define "rproxy.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- if $registry }}{{ $registry | trimSuffix "/" }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{/* ---- Metadata ---- */}}

{{/* Never changes over the life of a release: a Deployment's selector is immutable. */}}
{{- define "rproxy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "rproxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: proxy
{{- end }}

{{/* Labels of everything. Call with (dict "root" . "component" "metrics"). */}}
{{- define "rproxy.labels" -}}
app.kubernetes.io/name: {{ include "rproxy.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ include "rproxy.name" .root }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
The metadata of one object. Call with (dict "root" . "name" NAME "component" NAME) and, where
needed, "labels" and "annotations" (maps), which win over the common ones.
*/}}
{{- define "rproxy.metadata" -}}
name: {{ .name }}
namespace: {{ default (include "rproxy.namespace" .root) .namespace }}
labels:
{{- $labels := include "rproxy.labels" . | fromYaml }}
{{- toYaml (merge (dict) (default (dict) .labels) $labels) | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* ---- Configuration ---- */}}

{{/*
`config` as the text of rproxy.yaml. A pool without backends is spelt out, so that an install with
no values is a working proxy that answers 503 no_backends.
*/}}
{{- define "rproxy.desiredConfig" -}}
{{- $config := deepCopy .Values.config }}
{{- if not (or (hasKey $config "backends") (hasKey $config "pools")) }}
{{- $_ := set $config "backends" list }}
{{- end }}
{{- include "rproxy.restoreOn" $config }}
{{- range $config.pools }}
{{- include "rproxy.restoreOn" . }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/*
Helm reads values as YAML 1.1, where an unquoted `on` is the boolean true: `retry: {on: […]}` arrives
as the key "true". Changes the map it is given.
*/}}
{{- define "rproxy.restoreOn" -}}
{{- $retry := get . "retry" }}
{{- if and (kindIs "map" $retry) (hasKey $retry "true") }}
{{- $_ := set $retry "on" (get $retry "true") }}
{{- $_ := unset $retry "true" }}
{{- end }}
{{- end }}

{{/*
The live ConfigMap when this render must leave its contents alone, else nothing (YAML).
  always         never leaves it alone
  unless-edited  leaves it alone when its text is not the one the chart wrote last
  never          leaves it alone once it exists
Rendering the live text again, rather than ours, is what keeps a server-side apply (Helm 4) free of
field conflicts: the same value may have two owners. `lookup` finds nothing under `helm template`.
*/}}
{{- define "rproxy.keptConfigMap" -}}
{{- if not (or .Values.existingConfigMap (eq .Values.configMap.update "always")) }}
{{- $live := lookup "v1" "ConfigMap" (include "rproxy.namespace" .) (include "rproxy.configMapName" .) }}
{{- if $live }}
{{- $text := get (default (dict) $live.data) "rproxy.yaml" }}
{{- $written := get (default (dict) $live.metadata.annotations) "rproxy/config-sha256" }}
{{- if or (eq .Values.configMap.update "never") (ne (sha256sum $text) $written) }}
{{- toYaml $live }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The text of rproxy.yaml after this render: the live one if kept, else ours. */}}
{{- define "rproxy.effectiveConfig" -}}
{{- $kept := include "rproxy.keptConfigMap" . | fromYaml }}
{{- if $kept }}
{{- get (default (dict) $kept.data) "rproxy.yaml" }}
{{- else }}
{{- include "rproxy.desiredConfig" . }}
{{- end }}
{{- end }}

{{/* A duration of the configuration ("500ms", "1m30s", "1.5s", "0") in milliseconds. */}}
{{- define "rproxy.milliseconds" -}}
{{- $text := toString . }}
{{- if not (regexMatch "^(0|([0-9]+([.][0-9]+)?(ms|s|m|h|d))+)$" $text) }}
{{- fail (printf "config.drain: %q is no duration; write 500ms, 5s or 1m30s" $text) }}
{{- end }}
{{- $total := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h|d)" $text -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $scale := get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000) $unit }}
{{- $total = addf $total (mulf (float64 (trimSuffix $unit .)) $scale) }}
{{- end }}
{{- ceil $total | int }}
{{- end }}

{{/*
What a pod needs to stop without cutting a request: accept_grace (old connections still come in
while endpoints are updated), then timeout (requests in flight finish), then a margin.
*/}}
{{- define "rproxy.neededGraceSeconds" -}}
{{- $config := dict }}
{{- if not .Values.existingConfigMap }}
{{- $config = include "rproxy.effectiveConfig" . | fromYaml }}
{{- else }}
{{- $config = .Values.config }}
{{- end }}
{{- $drain := default (dict) $config.drain }}
{{- $grace := include "rproxy.milliseconds" (dig "accept_grace" "5s" $drain) | atoi }}
{{- $timeout := include "rproxy.milliseconds" (dig "timeout" "30s" $drain) | atoi }}
{{- add (div (add $grace $timeout 999) 1000) .Values.drainMarginSeconds }}
{{- end }}

{{- define "rproxy.terminationGraceSeconds" -}}
{{- $needed := include "rproxy.neededGraceSeconds" . | atoi }}
{{- $set := int (default 0 .Values.terminationGracePeriodSeconds) }}
{{- if and $set (lt $set $needed) }}
{{- fail (printf "terminationGracePeriodSeconds is %d, but config.drain (accept_grace + timeout) and drainMarginSeconds need %d: requests would be cut" $set $needed) }}
{{- end }}
{{- default $needed $set }}
{{- end }}

{{/* ---- The container, the same for Deployment, DaemonSet and sidecar ---- */}}

{{/* The number of workers to ask for, or nothing when the CPU limit decides. */}}
{{- define "rproxy.workers" -}}
{{- if .Values.workers }}
{{- .Values.workers }}
{{- else if not (dig "limits" "cpu" "" .Values.resources) }}
{{- 2 }}
{{- end }}
{{- end }}

{{- define "rproxy.probe" -}}
exec:
  command: [/usr/bin/rproxy, {{ .verb }}, --admin, "127.0.0.1:{{ .root.Values.admin.port }}"]
{{ toYaml (omit .probe "enabled") }}
{{- end }}

{{- define "rproxy.container" -}}
{{- $root := .root }}
{{- with $root.Values -}}
name: rproxy
image: {{ include "rproxy.image" $root }}
imagePullPolicy: {{ .image.pullPolicy }}
command: [/usr/bin/rproxy]
args:
  - serve
  - --config
  - /etc/rproxy/rproxy.yaml
  - --admin
  - {{ printf "%s:%d" .admin.host (int .admin.port) | quote }}
  - --state-dir
  - /var/lib/rproxy
  {{- with include "rproxy.workers" $root }}
  - --workers
  - {{ . | quote }}
  {{- end }}
  {{- if .admin.tokenSecret.name }}
  - --admin-token-file
  - /etc/rproxy-admin/{{ .admin.tokenSecret.key }}
  {{- end }}
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
{{- with .extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- range $name, $port := .ports }}
  {{- if $port }}
  - name: {{ $name }}
    containerPort: {{ $port.containerPort }}
    {{- with $port.hostPort }}
    hostPort: {{ . }}
    {{- end }}
    protocol: TCP
  {{- end }}
  {{- end }}
  - name: admin
    containerPort: {{ .admin.port }}
    protocol: TCP
{{- if .probes.startup.enabled }}
startupProbe:
  {{- include "rproxy.probe" (dict "root" $root "verb" $.startupVerb "probe" .probes.startup) | nindent 2 }}
{{- end }}
{{- if .probes.readiness.enabled }}
readinessProbe:
  {{- include "rproxy.probe" (dict "root" $root "verb" "ready" "probe" .probes.readiness) | nindent 2 }}
{{- end }}
{{- if .probes.liveness.enabled }}
livenessProbe:
  {{- include "rproxy.probe" (dict "root" $root "verb" "live" "probe" .probes.liveness) | nindent 2 }}
{{- end }}
{{- if $.preStop }}
lifecycle:
  preStop:
    exec:
      command: [/usr/bin/rproxy, drain, --admin, "127.0.0.1:{{ .admin.port }}"]
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .securityContext | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/rproxy
    readOnly: true
  - name: state
    mountPath: /var/lib/rproxy
  {{- if .admin.tokenSecret.name }}
  - name: admin-token
    mountPath: /etc/rproxy-admin
    readOnly: true
  {{- end }}
  {{- with include "rproxy.tlsMounts" $root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "rproxy.tlsMounts" -}}
{{- range .Values.tlsSecrets }}
- name: {{ printf "tls-%s" .name | trunc 63 | trimSuffix "-" }}
  mountPath: {{ default (printf "/certs/%s" .name) .mountPath }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Secrets as directories, never subPath: a renewed certificate must arrive. */}}
{{- define "rproxy.tlsVolumes" -}}
{{- $mode := .mode }}
{{- range .root.Values.tlsSecrets }}
- name: {{ printf "tls-%s" .name | trunc 63 | trimSuffix "-" }}
  secret:
    secretName: {{ .name }}
    defaultMode: {{ $mode }}
{{- end }}
{{- end }}

{{/*
Call with (dict "root" . "secretMode" MODE). A whole pod has an fsGroup, so 0440 (288) is readable
by the proxy alone; a sidecar cannot set the pod's fsGroup and needs 0444 (292).
*/}}
{{- define "rproxy.volumes" -}}
- name: config
  configMap:
    name: {{ include "rproxy.configMapName" .root }}
- name: state
  {{- toYaml .root.Values.stateVolume | nindent 2 }}
{{- with .root.Values.admin.tokenSecret.name }}
- name: admin-token
  secret:
    secretName: {{ . }}
    defaultMode: {{ $.secretMode }}
{{- end }}
{{- with include "rproxy.tlsVolumes" (dict "root" .root "mode" .secretMode) | trim }}
{{ . }}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "rproxy.pullSecrets" -}}
{{- range concat (default (list) .Values.global.imagePullSecrets) .Values.image.pullSecrets }}
- name: {{ . }}
{{- end }}
{{- end }}

{{/* ---- Conditions: each is the text "true" or nothing ---- */}}

{{/* A switch that is true, false or auto. Call with (dict "root" . "switch" V "api" "group/version"). */}}
{{- define "rproxy.enabled" -}}
{{- if eq (toString .switch) "auto" }}
{{- if .root.Capabilities.APIVersions.Has .api }}true{{ end }}
{{- else if .switch }}true{{ end }}
{{- end }}

{{- define "rproxy.standalone" -}}
{{- if eq .Values.mode "ingress" }}true{{ end }}
{{- end }}

{{/* Several pods at once, so that one may be evicted. */}}
{{- define "rproxy.severalPods" -}}
{{- if eq .Values.kind "DaemonSet" }}true
{{- else if .Values.autoscaling.enabled }}{{ if gt (int .Values.autoscaling.minReplicas) 1 }}true{{ end }}
{{- else if .Values.keda.enabled }}{{ if gt (int .Values.keda.minReplicas) 1 }}true{{ end }}
{{- else if gt (int .Values.replicaCount) 1 }}true
{{- end }}
{{- end }}

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
