// The kinds of other projects that the chart renders, as far as it uses them: kubernetes-types has
// only Kubernetes' own. A field that is not here is refused, so that each new one is looked up.
import { ObjectMeta } from "kubernetes-types/meta/v1";
import { LabelSelector } from "kubernetes-types/meta/v1";

export interface RelabelConfig {
    sourceLabels?: string[];
    separator?: string;
    regex?: string;
    modulus?: number;
    targetLabel?: string;
    replacement?: string;
    action?: string;
}
export interface Endpoint {
    port: string;
    path: string;
    interval: string;
    scrapeTimeout: string;
    relabelings?: RelabelConfig[];
    metricRelabelings?: RelabelConfig[];
}
export interface NamespaceSelector {
    matchNames: string[];
}
export interface ServiceMonitor {
    apiVersion: "monitoring.coreos.com/v1";
    kind: "ServiceMonitor";
    metadata: ObjectMeta;
    spec: {
        jobLabel: string;
        selector: LabelSelector;
        namespaceSelector: NamespaceSelector;
        endpoints: Endpoint[];
    };
}
export interface PodMonitor {
    apiVersion: "monitoring.coreos.com/v1";
    kind: "PodMonitor";
    metadata: ObjectMeta;
    spec: {
        selector: LabelSelector;
        namespaceSelector: NamespaceSelector;
        podMetricsEndpoints: Endpoint[];
    };
}
export interface Rule {
    alert?: string;
    record?: string;
    expr: string;
    for?: string;
    keep_firing_for?: string;
    labels?: { [name: string]: string };
    annotations?: { [name: string]: string };
}
export interface PrometheusRule {
    apiVersion: "monitoring.coreos.com/v1";
    kind: "PrometheusRule";
    metadata: ObjectMeta;
    spec: { groups: { name: string; interval?: string; limit?: number; rules: Rule[] }[] };
}
export interface HTTPRoute {
    apiVersion: "gateway.networking.k8s.io/v1";
    kind: "HTTPRoute";
    metadata: ObjectMeta;
    spec: {
        parentRefs: { group?: string; kind?: string; name: string; namespace?: string; sectionName?: string; port?: number }[];
        hostnames?: string[];
        rules: {
            matches: {
                path?: { type: "Exact" | "PathPrefix" | "RegularExpression"; value: string };
                headers?: { type?: "Exact" | "RegularExpression"; name: string; value: string }[];
                method?: string;
            }[];
            filters?: {
                type: string;
                requestHeaderModifier?: HeaderModifier;
                responseHeaderModifier?: HeaderModifier;
                requestRedirect?: { scheme?: string; hostname?: string; port?: number; statusCode?: number };
            }[];
            backendRefs: { name: string; port: number; weight?: number }[];
        }[];
    };
}
export interface HeaderModifier {
    set?: { name: string; value: string }[];
    add?: { name: string; value: string }[];
    remove?: string[];
}
export interface ScaledObject {
    apiVersion: "keda.sh/v1alpha1";
    kind: "ScaledObject";
    metadata: ObjectMeta;
    spec: {
        scaleTargetRef: { apiVersion: string; kind: string; name: string };
        minReplicaCount: number;
        maxReplicaCount: number;
        pollingInterval: number;
        cooldownPeriod: number;
        triggers: { type: string; metadata: { [name: string]: string } }[];
    };
}
