"""The shape of Argo's own objects: struct → "field:type …", in the notation of `argo.fields`.

Derived from Argo v4.1.2's CustomResourceDefinitions and the names in its api/openapi-spec/swagger.json; a test compares
this table with the CRDs. Where the Go type takes more than the schema says (AnyString takes numbers and booleans), the
Go type wins, for that is what `argo submit` and `argo lint` accept. `status` belongs to the controller: any.
"""

from __future__ import annotations

from typing import Final

STRUCTS: Final[dict[str, str]] = {
    "ArchiveStrategy": "none:Empty tar:TarStrategy zip:Empty",
    "Arguments": "artifacts:[Artifact] parameters:[Parameter]",
    "Artifact": (
        "+ArtifactLocation archive:ArchiveStrategy artifactGC:ArtifactGC deleted:bool from:str fromExpression:str "
        "globalName:str mode:int name!:str optional:bool path:str recurseMode:bool subPath:str"
    ),
    "ArtifactGC": (
        "podMetadata:Metadata serviceAccountName:str strategy:''|OnWorkflowCompletion|OnWorkflowDeletion|Never"
    ),
    "ArtifactLocation": (
        "archiveLogs:bool artifactory:ArtifactoryArtifact azure:AzureArtifact gcs:GCSArtifact git:GitArtifact "
        "hdfs:HDFSArtifact http:HTTPArtifact oss:OSSArtifact plugin:PluginArtifact raw:RawArtifact s3:S3Artifact"
    ),
    "ArtifactPaths": "+Artifact",
    "ArtifactRepositoryRef": "configMap:str key:str",
    "ArtifactoryArtifact": "passwordSecret:SecretKeySelector url!:str usernameSecret:SecretKeySelector",
    "AzureArtifact": "accountKeySecret:SecretKeySelector blob!:str container!:str endpoint!:str useSDKCreds:bool",
    "Backoff": "cap:str duration:str factor:ios maxDuration:str",
    "BasicAuth": "passwordSecret:SecretKeySelector usernameSecret:SecretKeySelector",
    "Cache": "configMap!:LocalObjectReference",
    "ClientCertAuth": "clientCertSecret:SecretKeySelector clientKeySecret:SecretKeySelector",
    "ClusterWorkflowTemplate": "+WorkflowTemplate",
    "ContainerNode": "+Container dependencies:[str] name!:str",
    "ContainerSetRetryStrategy": "duration:str retries!:ios",
    "ContainerSetTemplate": (
        "containers!:[ContainerNode] retryStrategy:ContainerSetRetryStrategy volumeMounts:[VolumeMount]"
    ),
    "ContinueOn": "error:bool failed:bool",
    "Counter": "value!:str",
    "CreateS3BucketOptions": "objectLocking:bool",
    "CronWorkflow": "apiVersion:str kind:str metadata!:ObjectMeta spec!:CronWorkflowSpec status:any",
    "CronWorkflowSpec": (
        "concurrencyPolicy:Allow|Forbid|Replace failedJobsHistoryLimit:int schedules!:[str] "
        "startingDeadlineSeconds:int stopStrategy:StopStrategy successfulJobsHistoryLimit:int suspend:bool "
        "timezone:str when:str workflowMetadata:ObjectMeta workflowSpec!:WorkflowSpec"
    ),
    "DAGTask": (
        "arguments:Arguments continueOn:ContinueOn dependencies:[str] depends:str hooks:{LifecycleHook} "
        "inline:Template name!:str onExit:str template:str templateRef:TemplateRef when:str withItems:[any] "
        "withParam:str withSequence:Sequence"
    ),
    "DAGTemplate": "failFast:bool target:str tasks!:[DAGTask]",
    "Data": "source!:DataSource transformation!:[TransformationStep]",
    "DataSource": "artifactPaths:ArtifactPaths",
    "Empty": "",
    "ExecutorConfig": "serviceAccountName:str",
    "ExecutorPlugin": "metadata!:ObjectMeta spec!:ExecutorPluginSpec",
    "ExecutorPluginSidecar": "automountServiceAccountToken:bool container!:Container",
    "ExecutorPluginSpec": "sidecar!:ExecutorPluginSidecar",
    "GCSArtifact": "bucket:str key!:str serviceAccountKeySecret:SecretKeySelector",
    "Gauge": "operation:Set|Add|Sub realtime!:bool value!:str",
    "GitArtifact": (
        "branch:str depth:int disableSubmodules:bool fetch:[str] insecureIgnoreHostKey:bool insecureSkipTLS:bool "
        "passwordSecret:SecretKeySelector repo!:str revision:str singleBranch:bool "
        "sshPrivateKeySecret:SecretKeySelector usernameSecret:SecretKeySelector"
    ),
    "HDFSArtifact": (
        "addresses:[str] dataTransferProtection:str force:bool hdfsUser:str krbCCacheSecret:SecretKeySelector "
        "krbConfigConfigMap:ConfigMapKeySelector krbKeytabSecret:SecretKeySelector krbRealm:str "
        "krbServicePrincipalName:str krbUsername:str path!:str"
    ),
    "HTTP": (
        "body:str bodyFrom:HTTPBodySource headers:[RequestHeader] insecureSkipVerify:bool method:str "
        "successCondition:str timeoutSeconds:int url!:str"
    ),
    "HTTPArtifact": "auth:HTTPAuth headers:[Header] saveStreamViaFile:bool url!:str",
    "HTTPAuth": "basicAuth:BasicAuth clientCert:ClientCertAuth oauth2:OAuth2Auth",
    "HTTPBodySource": "bytes:str",
    "HTTPHeaderSource": "secretKeyRef:SecretKeySelector",
    "Header": "name!:str value!:str",
    "Histogram": "buckets!:[num] value!:str",
    "Inputs": "artifacts:[Artifact] parameters:[Parameter]",
    "LabelValueFrom": "expression!:str",
    "LifecycleHook": "arguments:Arguments expression:str template:str templateRef:TemplateRef",
    "ManifestFrom": "artifact!:Artifact",
    "Memoize": "cache!:Cache key!:str maxAge!:str",
    "Metadata": "annotations:{str} labels:{str}",
    "MetricLabel": "key!:str value!:str",
    "Metrics": "prometheus!:[Prometheus]",
    "Mutex": "database:bool name:str namespace:str",
    "OAuth2Auth": (
        "clientIDSecret:SecretKeySelector clientSecretSecret:SecretKeySelector "
        "endpointParams:[OAuth2EndpointParam] scopes:[str] tokenURLSecret:SecretKeySelector"
    ),
    "OAuth2EndpointParam": "key!:str value:str",
    "OSSArtifact": (
        "accessKeySecret:SecretKeySelector bucket:str createBucketIfNotPresent:bool endpoint:str key!:str "
        "lifecycleRule:OSSLifecycleRule secretKeySecret:SecretKeySelector securityToken:str useSDKCreds:bool"
    ),
    "OSSLifecycleRule": "markDeletionAfterDays:int markInfrequentAccessAfterDays:int",
    "Outputs": "artifacts:[Artifact] exitCode:str parameters:[Parameter] result:str",
    "Parameter": (
        "default:scalar description:scalar enum:[scalar] globalName:str name!:str value:scalar valueFrom:ValueFrom"
    ),
    "PluginArtifact": "configuration:str connectionTimeoutSeconds:int key!:str name:str",
    "PodGC": (
        "deleteDelayDuration:str labelSelector:LabelSelector "
        "strategy:''|OnPodCompletion|OnPodSuccess|OnWorkflowCompletion|OnWorkflowSuccess"
    ),
    "Prometheus": "counter:Counter gauge:Gauge help!:str histogram:Histogram labels:[MetricLabel] name!:str when:str",
    "RawArtifact": "data!:str",
    "RequestHeader": "name!:str value:str valueFrom:HTTPHeaderSource",
    "ResourceTemplate": (
        "action!:get|create|apply|delete|replace|patch failureCondition:str flags:[str] manifest:str "
        "manifestFrom:ManifestFrom mergeStrategy:strategic|merge|json setOwnerReference:bool successCondition:str"
    ),
    "RetryAffinity": "nodeAntiAffinity:Empty",
    "RetryStrategy": (
        "affinity:RetryAffinity backoff:Backoff expression:str limit:ios "
        "retryPolicy:Always|OnFailure|OnError|OnTransientError"
    ),
    "S3Artifact": (
        "accessKeySecret:SecretKeySelector addressingStyle:''|path|virtual-hosted bucket:str "
        "caSecret:SecretKeySelector createBucketIfNotPresent:CreateS3BucketOptions "
        "encryptionOptions:S3EncryptionOptions endpoint:str insecure:bool key:str region:str roleARN:str "
        "secretKeySecret:SecretKeySelector sessionTokenSecret:SecretKeySelector useSDKCreds:bool"
    ),
    "S3EncryptionOptions": (
        "enableEncryption:bool kmsEncryptionContext:str kmsKeyId:str serverSideCustomerKeySecret:SecretKeySelector"
    ),
    "ScriptTemplate": "+Container source:str",
    "SemaphoreRef": "configMapKeyRef:ConfigMapKeySelector database:SyncDatabaseRef namespace:str",
    "Sequence": "count:ios end:ios format:str start:ios",
    "StopStrategy": "expression!:str",
    "SuspendTemplate": "duration:str",
    "SyncDatabaseRef": "key!:str",
    "Synchronization": "mutexes:[Mutex] semaphores:[SemaphoreRef]",
    "TTLStrategy": "secondsAfterCompletion:int secondsAfterFailure:int secondsAfterSuccess:int",
    "TarStrategy": "compressionLevel:int",
    "Template": (
        "activeDeadlineSeconds:ios affinity:Affinity annotations:{str} archiveLocation:ArtifactLocation "
        "automountServiceAccountToken:bool container:Container containerSet:ContainerSetTemplate daemon:bool "
        "dag:DAGTemplate data:Data executor:ExecutorConfig failFast:bool hostAliases:[HostAlias] http:HTTP "
        "initContainers:[UserContainer] inputs:Inputs memoize:Memoize metadata:Metadata metrics:Metrics name:str "
        "nodeSelector:{str} outputs:Outputs parallelism:int pendingTimeout:str plugin:obj "
        "podResources:ResourceRequirements podSpecPatch:str priorityClassName:str resource:ResourceTemplate "
        "resourceClaims:[PodResourceClaim] retryStrategy:RetryStrategy schedulerName:str script:ScriptTemplate "
        "securityContext:PodSecurityContext serviceAccountName:str sidecars:[UserContainer] "
        "steps:[[WorkflowStep]] suspend:SuspendTemplate synchronization:Synchronization timeout:str "
        "tolerations:[Toleration] volumes:[Volume]"
    ),
    "TemplateRef": "clusterScope:bool name:str template:str",
    "TransformationStep": "expression!:str",
    "UserContainer": "+Container mirrorVolumeMounts:bool name!:str",
    "ValueFrom": (
        "configMapKeyRef:ConfigMapKeySelector default:scalar event:str expression:str jqFilter:str jsonPath:str "
        "parameter:str path:str supplied:Empty"
    ),
    "VolumeClaimGC": "strategy:str",
    "Workflow": "apiVersion:str kind:str metadata!:ObjectMeta spec!:WorkflowSpec status:any",
    "WorkflowLevelArtifactGC": (
        "forceFinalizerRemoval:bool podMetadata:Metadata podSpecPatch:str serviceAccountName:str "
        "strategy:''|OnWorkflowCompletion|OnWorkflowDeletion|Never"
    ),
    "WorkflowMetadata": "annotations:{str} labels:{str} labelsFrom:{LabelValueFrom}",
    "WorkflowSpec": (
        "activeDeadlineSeconds:int affinity:Affinity archiveLogs:bool arguments:Arguments "
        "artifactGC:WorkflowLevelArtifactGC artifactRepositoryRef:ArtifactRepositoryRef "
        "automountServiceAccountToken:bool dnsConfig:PodDNSConfig dnsPolicy:str entrypoint:str "
        "executor:ExecutorConfig executorPlugins:[ExecutorPlugin] hooks:{LifecycleHook} hostAliases:[HostAlias] "
        "hostNetwork:bool imagePullSecrets:[LocalObjectReference] metrics:Metrics nodeSelector:{str} onExit:str "
        "parallelism:int podDisruptionBudget:PodDisruptionBudgetSpec podGC:PodGC podMetadata:Metadata "
        "podPriorityClassName:str podResources:ResourceRequirements podSpecPatch:str priority:int "
        "resourceClaims:[PodResourceClaim] retryStrategy:RetryStrategy schedulerName:str "
        "securityContext:PodSecurityContext serviceAccountName:str shutdown:str suspend:bool "
        "synchronization:Synchronization templateDefaults:Template templates:[Template] tolerations:[Toleration] "
        "ttlStrategy:TTLStrategy volumeClaimGC:VolumeClaimGC volumeClaimTemplates:[PersistentVolumeClaim] "
        "volumes:[Volume] workflowMetadata:WorkflowMetadata workflowTemplateRef:WorkflowTemplateRef"
    ),
    "WorkflowStep": (
        "arguments:Arguments continueOn:ContinueOn hooks:{LifecycleHook} inline:Template name:str onExit:str "
        "template:str templateRef:TemplateRef when:str withItems:[any] withParam:str withSequence:Sequence"
    ),
    "WorkflowTemplate": "apiVersion:str kind:str metadata!:ObjectMeta spec!:WorkflowSpec",
    "WorkflowTemplateRef": "clusterScope:bool name:str",
}
