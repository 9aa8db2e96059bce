{{- /*
syncd.yaml: .Values.config, and what only the chart knows: the release's namespace, the name of the Lease, the namespaces of
the roles, the names of the Service.
*/ -}}
{{- define "syncd.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $kubernetes := $config.kubernetes | default dict -}}
{{- $lease := $kubernetes.lease | default dict -}}
{{- $_ := set $lease "name" (include "syncd.leaseName" .) -}}
{{- $_ := set $kubernetes "lease" $lease -}}
{{- $_ := set $kubernetes "namespace" .Release.Namespace -}}
{{- if and (eq .Values.rbac.scope "namespaces") (not $kubernetes.namespaces) -}}
{{- $_ := set $kubernetes "namespaces" .Values.rbac.namespaces -}}
{{- end -}}
{{- $_ := set $config "kubernetes" $kubernetes -}}
{{- $service := include "syncd.fullname" . -}}
{{- $inside := printf "%s.%s" $service .Release.Namespace -}}
{{- $names := list $service $inside (printf "%s.svc" $inside) (printf "%s.svc.%s" $inside .Values.clusterDomain) -}}
{{- $_ := set $config.listen "allowedHosts" (concat $names ($config.listen.allowedHosts | default list) | uniq) -}}
{{- toYaml $config -}}
{{- end -}}

{{- /*
What the schema cannot tell, because it lies between two values; all faults at once, before anything is installed.
Out: nothing, or the end of the rendering.
*/ -}}
{{- define "syncd.check" -}}
{{- $faults := list -}}
{{- $scoped := eq .Values.rbac.scope "namespaces" -}}
{{- $namespaces := .Values.rbac.namespaces -}}
{{- $kubernetes := .Values.config.kubernetes | default dict -}}
{{- if and $scoped (not $namespaces) -}}
{{- $faults = append $faults "rbac.scope is namespaces and rbac.namespaces is empty: name them" -}}
{{- end -}}
{{- if and $kubernetes.namespace (ne $kubernetes.namespace .Release.Namespace) -}}
{{- $faults = append $faults (printf "config.kubernetes.namespace is %q: leave it out, it is the namespace of the release (%s), where the Role for the Lease is" $kubernetes.namespace .Release.Namespace) -}}
{{- end -}}
{{- if $scoped -}}
{{- range $kubernetes.namespaces -}}
{{- if not (has . $namespaces) -}}
{{- $faults = append $faults (printf "config.kubernetes.namespaces: %s is not one of rbac.namespaces" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $index, $source := .Values.config.sources -}}
{{- $at := printf "config.sources[%d]" $index -}}
{{- if $scoped -}}
{{- range ((kindIs "string" $source.namespaces) | ternary (list $source.namespaces) $source.namespaces) -}}
{{- if not (has . $namespaces) -}}
{{- $faults = append $faults (printf "%s.namespaces: %s is not one of rbac.namespaces" $at .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $source.impersonate -}}
{{- $kinds := (kindIs "string" $source.kinds) | ternary (list $source.kinds) ($source.kinds | default list) -}}
{{- if and (has "ConfigMap" $kinds) (not $.Values.rbac.configMaps) -}}
{{- $faults = append $faults (printf "%s.kinds has ConfigMap: set rbac.configMaps: true" $at) -}}
{{- end -}}
{{- if and (has "CronJob" $kinds) (not $.Values.rbac.cronJobs) -}}
{{- $faults = append $faults (printf "%s.kinds has CronJob: set rbac.cronJobs: true" $at) -}}
{{- end -}}
{{- if and (has "ClusterWorkflowTemplate" $kinds) $scoped -}}
{{- $faults = append $faults (printf "%s.kinds has ClusterWorkflowTemplate: that takes rbac.scope: cluster" $at) -}}
{{- end -}}
{{- end -}}
{{- range $knob, $file := $source.auth -}}
{{- if and (hasSuffix "File" $knob) (hasPrefix "/etc/syncd/git/" $file) -}}
{{- $name := index (splitList "/" $file) 4 -}}
{{- if not (hasKey $.Values.gitCredentials $name) -}}
{{- $faults = append $faults (printf "%s.auth.%s is %s: gitCredentials has no %q" $at $knob $file $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\n%s\n" (join "\n" $faults)) -}}
{{- end -}}
{{- end -}}
