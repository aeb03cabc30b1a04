{{/* The configuration: its text, who owns it, and what it says about ports and time. */}}

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
"true" when Helm applies this live object server-side and somebody else owns the field as well, or
instead: applying another value would be refused as a conflict. Helm is who applied our label
helm.sh/chart. Call with (dict "live" OBJECT "section" "f:spec" "field" "f:replicas").
*/}}
{{- define "rproxy.ownedByOthers" -}}
{{- $serverSide := false }}
{{- $owned := false }}
{{- range dig "metadata" "managedFields" (list) .live }}
{{- $fields := default (dict) .fieldsV1 }}
{{- if and (eq .operation "Apply") (hasKey (dig "f:metadata" "f:labels" (dict) $fields) "f:helm.sh/chart") }}
{{- $serverSide = true }}
{{- else if hasKey (default (dict) (get $fields $.section)) $.field }}
{{- $owned = true }}
{{- end }}
{{- end }}
{{- if and $serverSide $owned }}true{{ end }}
{{- end }}

{{/*
The live ConfigMap when this render must leave its contents alone, else nothing (YAML).
  always         never leaves it alone
  unless-edited  leaves it alone when its text is not the one the chart wrote last, or somebody
                 else owns the text (and may have changed it back)
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
{{- $others := include "rproxy.ownedByOthers" (dict "live" $live "section" "f:data" "field" "f:rproxy.yaml") }}
{{- if or (eq .Values.configMap.update "never") (ne (sha256sum $text) $written) $others }}
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

{{/*
"https" when the listener behind a port ends TLS, else "http". Call with (dict "root" . "port" PORT),
an entry of `ports`. With existingConfigMap only its appProtocol can tell.
*/}}
{{- define "rproxy.scheme" -}}
{{- $tls := hasPrefix "https" (toString (default "" .port.appProtocol)) }}
{{- range .root.Values.config.listeners }}
{{- if and .tls (hasSuffix (printf ":%d" (int $.port.containerPort)) (toString .address)) }}
{{- $tls = true }}
{{- end }}
{{- end }}
{{- $tls | ternary "https" "http" }}
{{- end }}

{{/* The port of `ports` to try first: one without TLS if there is any. */}}
{{- define "rproxy.firstPort" -}}
{{- $plain := "" }}
{{- $any := "" }}
{{- range $name, $port := .Values.ports }}
{{- if $port }}
{{- $any = default $name $any }}
{{- if eq (include "rproxy.scheme" (dict "root" $ "port" $port)) "http" }}
{{- $plain = default $name $plain }}
{{- end }}
{{- end }}
{{- end }}
{{- default $any $plain }}
{{- end }}
