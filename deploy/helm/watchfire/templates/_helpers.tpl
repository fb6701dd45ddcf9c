{{- define "watchfire.name" -}}
{{- if contains "watchfire" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-watchfire" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "watchfire.selector" -}}
app.kubernetes.io/name: watchfire
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "watchfire.labels" -}}
{{ include "watchfire.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Helm keeps numbers of a values file as floats: an id of Discord, which is longer, would name somebody else. */}}
{{- define "watchfire.exact" -}}
{{- if kindIs "map" .value }}
{{- range $key, $value := .value }}
{{- include "watchfire.exact" (dict "path" (printf "%s.%s" $.path $key) "value" $value) }}
{{- end }}
{{- else if kindIs "slice" .value }}
{{- range $ix, $value := .value }}
{{- include "watchfire.exact" (dict "path" (printf "%s[%d]" $.path $ix) "value" $value) }}
{{- end }}
{{- else if kindIs "float64" .value }}
{{- if or (gt .value 9007199254740991.0) (lt .value -9007199254740991.0) }}
{{- fail (printf "Helm rounds the number at %s because it is so long; write it in quotes" .path) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Not empty where the server speaks HTTPS: who asks it in plain HTTP gets no answer. */}}
{{- define "watchfire.tls" -}}
{{- $server := get .Values.config "server" | default dict }}
{{- if get $server "tls" }}s{{ end }}
{{- end }}

{{- define "watchfire.routes" -}}
{{- include "watchfire.exact" (dict "path" "config" "value" .Values.config) }}
{{- $config := deepCopy .Values.config }}
{{- $server := get $config "server" | default dict }}
{{- $_ := set $server "listen" "0.0.0.0:9091" }}
{{- $_ := set $config "server" $server }}
{{- if eq .Values.store "sqlite" }}
{{- $_ := set $config "store" "sqlite:/var/lib/watchfire/watchfire.db" }}
{{- else }}
{{- $_ := set $config "store" (dict "file" "/etc/watchfire-secrets/database-url") }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- define "watchfire.pod" -}}
metadata:
  labels: {{- include "watchfire.labels" . | nindent 4 }}
  {{- with .Values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  # Longer than the 25 s in which a stop finishes what is in flight.
  terminationGracePeriodSeconds: 40
  automountServiceAccountToken: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: watchfire
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/watchfire/routes.yaml]
      env:
        - { name: WATCHFIRE_LISTEN, value: "0.0.0.0:9091" }
        - { name: WATCHFIRE_LOG_FORMAT, value: json }
      ports:
        - { name: http, containerPort: 9091 }
      # Ready says whether alerts can be stored; alive says only that the process answers: a full disk is no reason to restart.
      readinessProbe:
        httpGet: { path: /-/ready, port: http{{ if include "watchfire.tls" . }}, scheme: HTTPS{{ end }} }
        periodSeconds: 5
      livenessProbe:
        httpGet: { path: /-/healthy, port: http{{ if include "watchfire.tls" . }}, scheme: HTTPS{{ end }} }
        periodSeconds: 10
        failureThreshold: 6
      resources: {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: config, mountPath: /etc/watchfire, readOnly: true }
        - { name: secrets, mountPath: /etc/watchfire-secrets, readOnly: true }
        - { name: data, mountPath: /var/lib/watchfire }
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  volumes:
    - name: config
      configMap: { name: {{ include "watchfire.name" . }} }
    - name: secrets
      secret: { secretName: {{ .Values.secret }} }
    {{- if eq .Values.store "postgresql" }}
    - name: data
      emptyDir: {}
    {{- end }}
{{- end }}
