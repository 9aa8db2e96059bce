{{- /*
What the account may do. Each rule says why, in the rendered manifest as well; README.md has the same as a table, which a test
holds against this file. No wildcards: a verb or resource that is not here is not used.
*/ -}}

{{- /* In the namespace of the release: what syncd keeps for itself. */ -}}
{{- define "syncd.rules.own" -}}
# Lease: begin the election (a name cannot bound a create)
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
# Lease: hold, renew and take over the one of this release; hear at once when it is given up
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "syncd.leaseName" . | quote }}]
  verbs: [get, watch, update]
# Ledger and inventory: kept in ConfigMaps of this namespace, of which shards come and go
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, delete]
# Status of the sources: an object for each, made and removed with its source; hear at once what people ask there
- apiGroups: [syncd.io]
  resources: [sources]
  verbs: [list, watch, create, patch, delete]
# Status of the sources: revision, conditions and counts
- apiGroups: [syncd.io]
  resources: [sources/status]
  verbs: [patch]
{{ include "syncd.rules.events" . }}
{{- end -}}

{{- define "syncd.rules.events" -}}
# Events: what happened, on the object that it happened to; repeated ones are counted up
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- /* In the namespaces that sources write to. */ -}}
{{- define "syncd.rules.work" -}}
# Workflows: fire and submit, follow, stop and suspend, apply retention
- apiGroups: [argoproj.io]
  resources: [workflows]
  verbs: [get, list, watch, create, patch, delete]
# Templates and crons: apply what git says, notice drift, prune; a cron's status as well
- apiGroups: [argoproj.io]
  resources: [workflowtemplates, cronworkflows]
  verbs: [get, list, watch, create, patch, delete]
# Owners: a run that blocks the deletion of its cron, where the cluster checks such references (OpenShift does)
- apiGroups: [argoproj.io]
  resources: [cronworkflows/finalizers]
  verbs: [update]
{{- if eq .Values.rbac.scope "cluster" }}
# Templates of the whole cluster: the same
- apiGroups: [argoproj.io]
  resources: [clusterworkflowtemplates]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.rbac.cronJobs }}
# CronJobs: apply what git says, notice drift, prune
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.rbac.configMaps }}
# ConfigMaps: apply what git says, notice drift, prune
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if include "syncd.bringsSecrets" . }}
# Secrets: apply what git says, notice drift, prune; a source says `secrets: true`
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.rbac.logs }}
# The pods of a run: found by its label
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
# Logs: those of a step are its pod's
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
{{ include "syncd.rules.events" . }}
{{- end -}}

{{- /* "true" where syncd itself writes the Secrets of a source; "" else. Who is impersonated needs rights of its own. */ -}}
{{- define "syncd.bringsSecrets" -}}
{{- range .Values.config.sources -}}
{{- if and .secrets (not .impersonate) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
Whom the sources impersonate, as YAML: accounts, namespace → names of service accounts; users, all others.
*/ -}}
{{- define "syncd.impersonated" -}}
{{- $accounts := dict -}}
{{- $users := list -}}
{{- range .Values.config.sources -}}
{{- with .impersonate -}}
{{- $words := splitList ":" . -}}
{{- if and (hasPrefix "system:serviceaccount:" .) (eq (len $words) 4) -}}
{{- $namespace := index $words 2 -}}
{{- $_ := set $accounts $namespace (append (get $accounts $namespace | default list) (index $words 3) | uniq) -}}
{{- else -}}
{{- $users = append $users . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "accounts" $accounts "users" ($users | uniq) | toYaml -}}
{{- end -}}

{{- /* One role and its binding to the account. In: root; name; namespace, "" = a ClusterRole; rules, as text. */ -}}
{{- define "syncd.grant" -}}
{{- $kind := ternary "Role" "ClusterRole" (ne .namespace "") -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "syncd.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "syncd.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "syncd.serviceAccountName" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
