{{/* The container and its volumes, the same for Deployment, DaemonSet and sidecar. */}}

{{/* Where the proxy's own commands reach the admin port from inside the pod. */}}
{{- define "rproxy.adminFromInside" -}}
{{- $host := get (dict "0.0.0.0" "127.0.0.1" "[::]" "[::1]") .Values.admin.host | default .Values.admin.host }}
{{- printf "%s:%d" $host (int .Values.admin.port) | quote }}
{{- end }}

{{/* The number of workers to ask for, or nothing when the CPU limit decides. */}}
{{- define "rproxy.workers" -}}
{{- if int .Values.workers }}
{{- int .Values.workers }}
{{- else if not (dig "limits" "cpu" "" .Values.resources) }}
{{- 2 }}
{{- end }}
{{- end }}

{{- define "rproxy.probe" -}}
exec:
  command: [/usr/bin/rproxy, {{ .verb }}, --admin, {{ include "rproxy.adminFromInside" .root }}]
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
      command: [/usr/bin/rproxy, drain, --admin, {{ include "rproxy.adminFromInside" $root }}]
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .securityContext | nindent 2 }}
volumeMounts:
  - name: rproxy-config
    mountPath: /etc/rproxy
    readOnly: true
  - name: rproxy-state
    mountPath: /var/lib/rproxy
  {{- if .admin.tokenSecret.name }}
  - name: rproxy-admin-token
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

{{/* A Secret's name may have dots, a volume's may not. */}}
{{- define "rproxy.tlsVolumeName" -}}
{{- printf "rproxy-tls-%s" . | replace "." "-" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "rproxy.tlsMounts" -}}
{{- range .Values.tlsSecrets }}
- name: {{ include "rproxy.tlsVolumeName" .name }}
  mountPath: {{ default (printf "/certs/%s" .name) .mountPath }}
  readOnly: true
{{- end }}
{{- end }}

{{/* Secrets as directories, never subPath: a renewed certificate must arrive. */}}
{{- define "rproxy.tlsVolumes" -}}
{{- $mode := .mode }}
{{- range .root.Values.tlsSecrets }}
- name: {{ include "rproxy.tlsVolumeName" .name }}
  secret:
    secretName: {{ .name }}
    defaultMode: {{ $mode }}
    {{- if $.optional }}
    optional: true
    {{- end }}
{{- end }}
{{- end }}

{{/*
Volume names begin with "rproxy-": the patch of `mode: sidecar` is merged by name into the pod of an
application, which may well have a volume "config" of its own.
Call with (dict "root" . "secretMode" MODE). A whole pod has an fsGroup, so 0440 (288) is readable
by the proxy alone; a sidecar cannot set the pod's fsGroup and needs 0444 (292).
*/}}
{{- define "rproxy.volumes" -}}
- name: rproxy-config
  configMap:
    name: {{ include "rproxy.configMapName" .root }}
- name: rproxy-state
  {{- toYaml .root.Values.stateVolume | nindent 2 }}
{{- with .root.Values.admin.tokenSecret.name }}
- name: rproxy-admin-token
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
- name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
{{- end }}
{{- end }}
