{{- define "parvis.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels that never change: Deployments select by them. Takes (dict "root" $ "component" "router"). */}}
{{- define "parvis.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "parvis.labels" -}}
{{ include "parvis.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: parvis
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Takes (dict "root" $ "service" "router"). */}}
{{- define "parvis.image" -}}
{{- $image := .root.Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}/{{ .service }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "parvis.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "parvis.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* Where the town's folder comes from, as a volume's source. Takes (dict "root" $ "configMap" name). */}}
{{- define "parvis.townVolume" -}}
{{- $config := .root.Values.town.config -}}
configMap:
  name: {{ $config.existingConfigMap | default .configMap }}
  {{- if $config.existingConfigMap }}
  {{- with $config.items }}
  items: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- else }}
  items:
    {{- range $path, $_ := $config.files }}
    - {key: {{ $path | replace "/" "__" | quote }}, path: {{ $path | quote }}}
    {{- end }}
  {{- end }}
{{- end }}

{{/* A ConfigMap's key has no slash. */}}
{{- define "parvis.townFiles" -}}
{{- range $path, $text := .Values.town.config.files }}
{{ $path | replace "/" "__" | quote }}: {{ $text | quote }}
{{- end }}
{{- end }}

{{/* What every service of a town shares. */}}
{{- define "parvis.townEnvironment" -}}
- {name: PARVIS_KAFKA_BOOTSTRAP, value: {{ .Values.kafka.bootstrap | quote }}}
- {name: PARVIS_REPLICATION, value: {{ .Values.kafka.replication | quote }}}
- {name: PARVIS_TOPIC_PREFIX, value: {{ .Values.town.topicPrefix | quote }}}
- {name: PARVIS_PUBLIC_URL, value: {{ .Values.town.publicUrl | quote }}}
- {name: PARVIS_BLOBS_URL, value: {{ .Values.blobs.url | default "file:///data/blobs" | quote }}}
- {name: PARVIS_CONFIG_DIR, value: /config}
- {name: PARVIS_LOG_LEVEL, value: {{ .Values.town.logLevel | quote }}}
{{- with .Values.town.clamav }}
- {name: PARVIS_CLAMAV, value: {{ . | quote }}}
{{- end }}
{{- with .Values.secrets }}
- name: PARVIS_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .databaseUrlKey | quote }}}}
- name: PARVIS_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .secretKeyKey | quote }}}}
- name: PARVIS_CONTACT_POINT_KEY
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .contactPointKeyKey | quote }}}}
{{- end }}
{{- end }}

{{/* All of a container's variables; what the operator adds must not be what the chart sets. Takes the same. */}}
{{- define "parvis.environment" -}}
{{- $ours := printf "%s\n%s" (include "parvis.townEnvironment" .root) (include "parvis.serviceEnvironment" .) }}
{{- $ours }}
{{- range $name, $value := .values.env }}
{{- range fromYamlArray $ours }}
{{- if eq .name $name }}
{{- fail (printf "%s.env: %s is set by the chart: see the values that stand for it" $.key $name) }}
{{- end }}
{{- end }}
{{ printf "- {name: %s, value: %s}" $name (quote $value) }}
{{- end }}
{{- end }}

{{/* What a service has of its own. Takes (dict "root" $ "key" "router" "part" … "values" …). */}}
{{- define "parvis.serviceEnvironment" -}}
{{- $prefix := printf "PARVIS_%s" (.part.service | upper | replace "-" "_") -}}
- {name: {{ $prefix }}_HOST, value: {{ ternary "127.0.0.1" "0.0.0.0" (default false .part.loopback) | quote }}}
- {name: {{ $prefix }}_PORT, value: {{ .part.port | quote }}}
{{- with .part.folder }}
- {name: {{ .setting }}, value: {{ .path }}}
{{- end }}
{{- if eq .key "ingestSms" }}
- {name: PARVIS_INGEST_SMS_PUBLIC_URL, value: {{ .root.Values.town.smsPublicUrl | quote }}}
{{- end }}
{{- if has .key (list "ingestSms" "notifier") }}
{{- with .root.Values.twilio }}
- {name: {{ $prefix }}_TWILIO_ACCOUNT_SID, value: {{ .accountSid | quote }}}
- name: {{ $prefix }}_TWILIO_AUTH_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .authTokenKey | quote }}}}
{{- end }}
{{- end }}
{{- if and (eq .key "desk") .values.publicUrl }}
- {name: PARVIS_DESK_LOGIN, value: {{ .values.login | quote }}}
- {name: PARVIS_DESK_PUBLIC_URL, value: {{ .values.publicUrl | quote }}}
{{- end }}
{{- if eq .key "notifier" }}
- {name: PARVIS_NOTIFIER_SMS_PUBLIC_URL, value: {{ .root.Values.town.smsPublicUrl | quote }}}
- {name: PARVIS_NOTIFIER_PUBLIC_URL, value: {{ .root.Values.town.repliesPublicUrl | quote }}}
{{- with .root.Values.mailRelay }}
- {name: PARVIS_NOTIFIER_SMTP_HOST, value: {{ .host | quote }}}
- {name: PARVIS_NOTIFIER_SMTP_PORT, value: {{ .port | quote }}}
- {name: PARVIS_NOTIFIER_SMTP_USERNAME, value: {{ .username | quote }}}
- name: PARVIS_NOTIFIER_SMTP_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .existingSecret | quote }}, key: {{ .passwordKey | quote }}}}
{{- end }}
{{- with .root.Values.dkim.selectors }}
{{- $keys := dict }}
{{- range . }}{{- $_ := set $keys . (printf "/dkim/%s.pem" .) }}{{- end }}
- {name: PARVIS_NOTIFIER_DKIM_KEYS, value: {{ toJson $keys | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* A probe. Who listens on the loopback alone is asked from inside. Takes (dict "part" … "page" "live"). */}}
{{- define "parvis.probe" -}}
{{- if .part.loopback -}}
exec:
  command: [python, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:{{ .part.port }}/{{ .page }}', timeout=4)"]
{{- else -}}
httpGet: {path: /{{ .page }}, port: http}
{{- end }}
timeoutSeconds: 5
{{- end }}

{{/* Fails with what is missing, and why it is needed. */}}
{{- define "parvis.demands" -}}
{{- $_ := required "town.publicUrl is needed: where citizens find the town's pages" .Values.town.publicUrl }}
{{- $_ := required "kafka.bootstrap is needed: host:port of your brokers (the chart brings no Kafka)" .Values.kafka.bootstrap }}
{{- $_ := required "secrets.existingSecret is needed: the name of a Secret with the keys database-url, secret-key and contact-point-key" .Values.secrets.existingSecret }}
{{- if not (or .Values.town.config.files .Values.town.config.existingConfigMap) }}
{{- fail "the town's configuration is needed: town.config.files (deploy/helm/town_values.py FOLDER prints them) or town.config.existingConfigMap" }}
{{- end }}
{{- if and .Values.town.config.files .Values.town.config.existingConfigMap }}
{{- fail "town.config.files and town.config.existingConfigMap are both given: leave one" }}
{{- end }}
{{- if or .Values.ingestSms.enabled .Values.notifier.enabled }}
{{- $_ := required "town.smsPublicUrl is needed by ingestSms and notifier: where Twilio calls the SMS door" .Values.town.smsPublicUrl }}
{{- $_ := required "twilio.accountSid is needed by ingestSms and notifier" .Values.twilio.accountSid }}
{{- $_ := required "twilio.existingSecret is needed by ingestSms and notifier: a Secret with the key twilio-auth-token" .Values.twilio.existingSecret }}
{{- end }}
{{- if .Values.notifier.enabled }}
{{- $_ := required "town.repliesPublicUrl is needed by notifier: where links in our mails lead" .Values.town.repliesPublicUrl }}
{{- $_ := required "mailRelay.host is needed by notifier" .Values.mailRelay.host }}
{{- $_ := required "mailRelay.username is needed by notifier" .Values.mailRelay.username }}
{{- $_ := required "mailRelay.existingSecret is needed by notifier: a Secret with the key relay-password" .Values.mailRelay.existingSecret }}
{{- if .Values.dkim.selectors }}
{{- $_ := required "dkim.existingSecret is needed: a Secret with a key <selector>.pem for each of dkim.selectors" .Values.dkim.existingSecret }}
{{- end }}
{{- end }}
{{- end }}
