{{/* What both deployments have: settings, the deployment, the service account, the budget. */}}
{{- define "statuscache.role" -}}
{{- $root := .root }}
{{- $role := .role }}
{{- $values := .values }}
{{- $name := include "statuscache.roleName" . }}
{{- $settings := include "statuscache.settings" . }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "statuscache.roleLabels" . | nindent 4 }}
data: {{- $settings | nindent 2 }}
---
{{- if $values.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "statuscache.serviceAccountName" . }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "statuscache.roleLabels" . | nindent 4 }}
  {{- $annotations := deepCopy $values.serviceAccount.annotations }}
  {{- with $values.serviceAccount.roleArn }}{{ $_ := set $annotations "eks.amazonaws.com/role-arn" . }}{{ end }}
  {{- with $annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
---
{{- end }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "statuscache.roleLabels" . | nindent 4 }}
spec:
  {{- if not .fewest }}
  replicas: {{ $values.replicas }}
  {{- else }}
  {{- /* An autoscaler sets the number. It stays as it is, because a field that is removed returns to its default, 1. */}}
  {{- with lookup "apps/v1" "Deployment" $root.Release.Namespace $name }}
  replicas: {{ max (int $.fewest) (int .spec.replicas) }}
  {{- end }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy: {{- toYaml $values.strategy | nindent 4 }}
  selector:
    matchLabels: {{- include "statuscache.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- mergeOverwrite (deepCopy $values.podLabels) (include "statuscache.roleLabels" . | fromYaml) | toYaml | nindent 8 }}
      annotations:
        checksum/settings: {{ sha256sum $settings }}
        {{- with $root.Values.secretsRevision }}
        statuscache/secrets-revision: {{ . | quote }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "statuscache.serviceAccountName" . }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ include "statuscache.grace" . }}
      securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      containers:
        - name: statusd
          image: {{ include "statuscache.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          securityContext: {{- toYaml $root.Values.securityContext | nindent 12 }}
          ports:
            {{- if eq $role "api" }}
            - { name: http, containerPort: {{ $root.Values.ports.http }}, protocol: TCP }
            {{- end }}
            - { name: admin, containerPort: {{ $root.Values.ports.admin }}, protocol: TCP }
          envFrom:
            - configMapRef:
                name: {{ $name }}
          env:
            {{- range $setting, $from := $root.Values.secrets }}
            {{- if include "statuscache.forRole" (dict "role" $role "name" $setting) }}
            - name: {{ $setting }}
              valueFrom:
                secretKeyRef: { name: {{ $from.name | quote }}, key: {{ $from.key | quote }} }
            {{- end }}
            {{- end }}
            {{- $files := dict }}
            {{- range $setting, $from := $root.Values.files }}
            {{- if include "statuscache.forRole" (dict "role" $role "name" $setting) }}
            {{- $_ := set $files $setting $from }}
            - { name: {{ $setting }}, value: /etc/statusd/files/{{ $setting }} }
            {{- end }}
            {{- end }}
            {{- with $values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
          {{ $probe }}: {{- get $values $probe | toYaml | nindent 12 }}
          {{- end }}
          {{- with $values.resources }}
          resources: {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- if $files }}
          volumeMounts:
            - { name: files, mountPath: /etc/statusd/files, readOnly: true }
          {{- end }}
      {{- if $files }}
      volumes:
        # One volume, so that files that belong together change together.
        - name: files
          projected:
            defaultMode: 0440
            sources:
              {{- range $setting, $from := $files }}
              - {{ ternary "secret" "configMap" (hasKey $from "secret") }}:
                  name: {{ $from.secret | default $from.configMap | quote }}
                  items: [{ key: {{ $from.key | quote }}, path: {{ $setting }} }]
              {{- end }}
      {{- end }}
      {{- with include "statuscache.spread" . }}
      topologySpreadConstraints: {{- . | nindent 8 }}
      {{- end }}
      {{- range $each := list "nodeSelector" "tolerations" "affinity" }}
      {{- with get $values $each }}
      {{ $each }}: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
{{- if $values.pdb.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "statuscache.roleLabels" . | nindent 4 }}
spec:
  maxUnavailable: {{ $values.pdb.maxUnavailable }}
  # A pod that does not become ready must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "statuscache.selector" . | nindent 6 }}
{{- end }}
{{- end }}
