{{/*
The parts: key in the values → what the chart must know of the service.
  service   its one name everywhere
  port      /live, /ready, /metrics, and the pages or webhooks of a door
  door      named ports that others than the monitoring may reach: name → [port of the container, port of the Service]
  paths     what a door's Ingress or HTTPRoute lets through: its pages, and never /metrics
  folder    a volume of its own: name, where it is mounted, and the setting that names it
  alone     never two at a time
  loopback  listens on the pod's loopback alone: the desk while its login is for development
  lag       the topic whose lag KEDA scales it by
*/}}
{{- define "parvis.parts" -}}
ingestSms:
  service: ingest-sms
  port: 8101
  door: {http: [8101, 80]}
  paths: {/sms: Prefix}
ingestEmail:
  service: ingest-email
  port: 8102
  door: {smtp: [2525, 25], lmtp: [2424, 24]}
ingestWeb:
  service: ingest-web
  port: 8103
  door: {http: [8103, 80]}
  paths: {/: Exact, /demarches: Prefix, /merci: Prefix, /static: Prefix, /api: Prefix, /open311: Prefix}
ingestPostal:
  service: ingest-postal
  port: 8104
  folder: {name: scans, path: /data/scans, setting: PARVIS_INGEST_POSTAL_FOLDER}
  alone: true
router:
  service: router
  port: 8110
  lag: contact.received
notifier:
  service: notifier
  port: 8120
  door: {http: [8120, 80]}
  paths: {/inbox: Prefix, /unsubscribe: Prefix, /static: Prefix}
  folder: {name: letters, path: /data/letters, setting: PARVIS_NOTIFIER_LETTERS_DIR}
  lag: reply.requested
desk:
  service: desk
  port: 8130
{{- if .Values.desk.publicUrl }}
  door: {http: [8130, 80]}
  paths: {/: Exact, /login: Prefix, /logout: Exact, /enrol: Prefix, /queue: Exact, /find: Exact, /cases: Prefix, /counter: Prefix, /department: Exact, /me: Prefix, /accounts: Prefix, /identities: Exact, /break-glass: Prefix, /audit: Exact, /static: Prefix, /api: Prefix}
{{- else }}
  loopback: true
{{- end }}
{{- end }}
