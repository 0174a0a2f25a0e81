{{- define "ganger.name" -}}
{{- printf "%s-ganger" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "ganger.labels" -}}
app.kubernetes.io/name: ganger
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "ganger.selector" -}}
app.kubernetes.io/name: ganger
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "ganger.secret" -}}
{{- .Values.existingSecret | default (include "ganger.name" .) -}}
{{- end }}

{{- define "ganger.imageOnly" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "ganger.image" -}}
{{ include "ganger.imageOnly" . }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "ganger.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "ganger.serverEnv" -}}
- name: GANGER_DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ include "ganger.secret" . }}, key: database-url}
- name: GANGER_BROKER_URL
  valueFrom:
    secretKeyRef: {name: {{ include "ganger.secret" . }}, key: broker-url}
- name: GANGER_API_URL
  value: {{ include "ganger.apiUrl" . | quote }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "ganger.caMount" -}}
{{- if .Values.caSecret }}
- {name: ca, mountPath: /run/ganger-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "ganger.caVolume" -}}
{{- if .Values.caSecret }}
- name: ca
  secret: {secretName: {{ .Values.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{- define "ganger.ownHosts" -}}
{{- $name := printf "%s-api" (include "ganger.name" .) -}}
{{- $inNamespace := printf "%s.%s" $name .Release.Namespace -}}
{{- list .Values.api.ingress.host $name $inNamespace (printf "%s.svc" $inNamespace) (printf "%s.svc.cluster.local" $inNamespace)
  | join "," -}}
{{- end }}

{{- define "ganger.apiUrl" -}}
http://{{ include "ganger.name" . }}-api:{{ .Values.api.service.port }}
{{- end }}

{{- define "ganger.placing" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
