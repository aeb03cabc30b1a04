{{/* ---- Names ---- */}}

{{- define "rproxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Cut to 50 characters: the longest suffix below is "-config-check". */}}
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

{{/*
Labels of everything. Call with (dict "root" . "component" "metrics"). commonLabels win, but never over
what selectors look for.
*/}}
{{- define "rproxy.labels" -}}
{{- $identity := include "rproxy.selectorLabels" .root | fromYaml }}
{{- $_ := set $identity "app.kubernetes.io/component" .component }}
{{- $rest := dict "app.kubernetes.io/version" .root.Chart.AppVersion
    "app.kubernetes.io/part-of" (include "rproxy.name" .root)
    "app.kubernetes.io/managed-by" .root.Release.Service
    "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- toYaml (merge $identity .root.Values.commonLabels $rest) }}
{{- end }}

{{/* Labels of a proxy's pod: podLabels win, but never over what selectors look for. */}}
{{- define "rproxy.podLabels" -}}
{{- $labels := include "rproxy.labels" (dict "root" . "component" "proxy") | fromYaml }}
{{- toYaml (merge (include "rproxy.selectorLabels" . | fromYaml) .Values.podLabels $labels) }}
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

{{/*
Several pods at once, so that one may be evicted. Never a DaemonSet: a node's drain leaves its pods
alone, and a budget cannot count them (DaemonSets have no scale subresource), so it would allow no
eviction at all.
*/}}
{{- define "rproxy.severalPods" -}}
{{- if eq .Values.kind "DaemonSet" }}
{{- else if .Values.autoscaling.enabled }}{{ if gt (int .Values.autoscaling.minReplicas) 1 }}true{{ end }}
{{- else if .Values.keda.enabled }}{{ if gt (int .Values.keda.minReplicas) 1 }}true{{ end }}
{{- else if gt (int .Values.replicaCount) 1 }}true
{{- end }}
{{- end }}

{{/*
The number of pods to ask for, or nothing where that is another's business. The first render with
autoscaling on must not simply leave it out: Helm owns the field since the render before, and what its
only owner no longer asks for falls back to 1, whatever the load. So the live number is repeated until
the autoscaler owns it.
*/}}
{{- define "rproxy.replicas" -}}
{{- if eq .Values.kind "DaemonSet" }}
{{- else if or .Values.autoscaling.enabled .Values.keda.enabled }}
{{- $live := lookup "apps/v1" "Deployment" (include "rproxy.namespace" .) (include "rproxy.fullname" .) }}
{{- if and $live (not (include "rproxy.ownedByOthers" (dict "live" $live "section" "f:spec" "field" "f:replicas"))) }}
{{- int $live.spec.replicas }}
{{- end }}
{{- else }}
{{- .Values.replicaCount }}
{{- end }}
{{- end }}
