{{/* Names and labels. */}}
{{- define "statuscache.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 48 | trimSuffix "-" }}
{{- end }}

{{- define "statuscache.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "statuscache.labels" -}}
app.kubernetes.io/name: {{ include "statuscache.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The templates below take a dictionary with root, role (api or ingest), and the values of the role. */}}
{{- define "statuscache.roleName" -}}
{{ include "statuscache.fullname" .root }}-{{ .role }}
{{- end }}

{{- define "statuscache.selector" -}}
app.kubernetes.io/name: {{ include "statuscache.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "statuscache.roleLabels" -}}
{{ include "statuscache.labels" .root }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "statuscache.serviceAccountName" -}}
{{- if .values.serviceAccount.create }}
{{- default (include "statuscache.roleName" .) .values.serviceAccount.name }}
{{- else }}
{{- default "default" .values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "statuscache.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}
{{- else }}{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end }}
{{- end }}

{{/* forRole is empty for a setting that the role must not get: only api gets settings about callers
and their keys. */}}
{{- define "statuscache.forRole" -}}
{{- if or (eq .role "api") (not (regexMatch "^(API_KEY|JWT|AUTH|CORS|DASHBOARD|TLS)_|^DASHBOARD$|^API_KEYS_FILE$" .name)) }}yes{{ end }}
{{- end }}

{{/* settings are the plain settings of a role, as a dictionary in YAML. */}}
{{- define "statuscache.settings" -}}
{{- $all := dict "ROLE" .role "ADMIN_ADDR" (printf ":%v" .root.Values.ports.admin) }}
{{- if eq .role "api" }}{{ $_ := set $all "LISTEN_ADDR" (printf ":%v" .root.Values.ports.http) }}{{ end }}
{{- with .root.Values.aws.region }}{{ $_ := set $all "AWS_REGION" . }}{{ end }}
{{- $role := .role }}
{{- range $name, $value := merge (deepCopy .values.settings) .root.Values.settings }}
{{- if include "statuscache.forRole" (dict "role" $role "name" $name) }}{{ $_ := set $all $name $value }}{{ end }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{/* grace is how many seconds a pod may take to stop: SHUTDOWN_TIMEOUT, and the time before and after it. */}}
{{- define "statuscache.grace" -}}
{{- $settings := merge (deepCopy .values.settings) .root.Values.settings }}
{{- add 15 (get $settings "SHUTDOWN_TIMEOUT" | default "25s" | trimSuffix "s" | int) }}
{{- end }}

{{/* spread adds the labels of the pods to spread constraints that have no labelSelector. */}}
{{- define "statuscache.spread" -}}
{{- $selector := include "statuscache.selector" . | fromYaml }}
{{- range .values.topologySpreadConstraints }}
- {{- mergeOverwrite (dict "labelSelector" (dict "matchLabels" $selector)) . | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{/* validate refuses what cannot work, before anything is created. */}}
{{- define "statuscache.validate" -}}
{{- $v := .Values }}
{{- range $name, $_ := merge (dict) $v.secrets $v.files }}
{{- if or (hasKey $v.settings $name) (hasKey $v.api.settings $name) (hasKey $v.ingest.settings $name) (and (hasKey $v.secrets $name) (hasKey $v.files $name)) }}
{{- fail (printf "%s is given twice: name it in one of settings, secrets and files" $name) }}
{{- end }}
{{- end }}
{{- $api := merge (deepCopy $v.api.settings) $v.settings }}
{{- $ingest := merge (deepCopy $v.ingest.settings) $v.settings }}
{{- if not (hasKey $v.secrets "REDIS_URL") }}
{{- if or (and $v.api.enabled (not $api.REDIS_URL)) (and $v.ingest.enabled (not $ingest.REDIS_URL)) }}
{{- fail "REDIS_URL is missing: set secrets.REDIS_URL to a key of a Secret, or settings.REDIS_URL if it has no password" }}
{{- end }}
{{- end }}
{{- if and $v.ingest.enabled (not $ingest.SQS_QUEUE_URL) }}
{{- fail "settings.SQS_QUEUE_URL is missing: ingest needs the URL of the queue that the EventBridge rule sends to" }}
{{- end }}
{{- if and $v.api.enabled (not (hasKey $v.secrets "API_KEY_PEPPER")) (not $api.JWT_ISSUER) (not $api.AUTH_INTROSPECTION_URL) }}
{{- fail "every caller would be refused: set secrets.API_KEY_PEPPER, settings.JWT_ISSUER or settings.AUTH_INTROSPECTION_URL" }}
{{- end }}
{{- if and $v.serviceMonitor.enabled $v.networkPolicy.enabled (not $v.networkPolicy.metrics) }}
{{- fail "Prometheus could not reach the pods: set networkPolicy.metrics to the peer that scrapes them" }}
{{- end }}
{{- if and $v.ingest.enabled $v.ingest.keda.enabled (not $v.aws.region) }}
{{- fail "aws.region is missing: KEDA needs it to read the queue" }}
{{- end }}
{{- if and $v.ingest.keda.enabled (lt (int $v.ingest.keda.maxReplicas) (int $v.ingest.keda.minReplicas)) }}
{{- fail "ingest.keda.maxReplicas is less than ingest.keda.minReplicas" }}
{{- end }}
{{- if and $v.api.autoscaling.enabled (lt (int $v.api.autoscaling.maxReplicas) (int $v.api.autoscaling.minReplicas)) }}
{{- fail "api.autoscaling.maxReplicas is less than api.autoscaling.minReplicas" }}
{{- end }}
{{- end }}
