// What may be asked about policies and proxies: which concern which, and what comes of it. The API asks, the code that generates for proxies answers.

import type { Json, JsonObject, Resource } from "./resource.ts";
import type { Tags } from "./tags.ts";

/** The part of a proxy that policies are for. */
export interface Attachment {
  readonly type: "dataplane" | "inbound" | "outbound" | "service";
  /** `ADDRESS:PORT:WORKLOAD-PORT` of an inbound, `ADDRESS:PORT` of an outbound, "" of the whole proxy. */
  readonly name: string;
  readonly service: string;
  /** In order of type, then of precedence. */
  readonly policies: readonly Resource[];
}

/** What several policies of one type say together. */
export interface MergedRule {
  readonly conf: JsonObject;
  /** The weakest first. */
  readonly origin: readonly Resource[];
}

/** A set of clients or of destinations: by tags that they have, and that they do not have. */
export interface SubsetRule extends MergedRule {
  readonly subset: readonly {
    readonly key: string;
    readonly value: string;
    readonly not: boolean;
  }[];
}

/** An item of a policy: which, and where in its list. */
export interface ItemOrigin {
  readonly policy: Resource;
  readonly index: number;
}

/** For what goes to a resource, such as a mesh or a MeshService, or to one section of it. */
export interface DestinationRule {
  readonly resource: Resource;
  readonly section: string;
  readonly confs: readonly JsonObject[];
  readonly origin: readonly ItemOrigin[];
}

/** A listener of the proxy, and what clients of it meet. */
export interface InboundRules {
  readonly address: string;
  readonly port: number;
  readonly name?: string;
  readonly tags: Tags;
  /** By who the client is. */
  readonly from: readonly SubsetRule[];
  /** In order, whoever the client is. */
  readonly rules: readonly { readonly conf: JsonObject; readonly origin: ItemOrigin }[];
}

/** What the policies of one type with a targetRef mean for one proxy. */
export interface TypeRules {
  readonly type: string;
  /** Of a policy that says one thing about a whole proxy. */
  readonly single?: MergedRule;
  /** By the tags of the destination. */
  readonly to: readonly SubsetRule[];
  readonly destinations: readonly DestinationRule[];
  /** By port. */
  readonly inbounds: readonly InboundRules[];
  /** What could not be understood. */
  readonly warnings: readonly string[];
}

/** A rule, and the one thing of a proxy that it holds for. */
export interface RuleAttachment {
  readonly type: "ClientSubset" | "DestinationSubset" | "SingleItem";
  /** Of the cluster; "" of the whole proxy, as all below. */
  readonly name: string;
  readonly addresses: readonly string[];
  readonly service: string;
  readonly tags: Tags;
  readonly policyType: string;
  readonly rule: SubsetRule;
}

/** Pure functions over one state of the store. */
export interface Inspection {
  /** By type and name of the part; of one policy's type, or of all. */
  attachments(dataplane: Resource, type?: string): readonly Attachment[];
  /** Whether the policy is for the proxy at all, whoever wins in the end. */
  concerns(policy: Resource, dataplane: Resource): boolean;
  /** In the order in which types apply; of those only that say something. */
  rules(dataplane: Resource): readonly TypeRules[];
  /** What stands for the matches of a route where rules are told apart by them. */
  matchesHash(matches: Json): string;
  /** The same by the proxy's inbounds and outbounds, in order of their names. */
  ruleAttachments(dataplane: Resource): readonly RuleAttachment[];
  /**
   * What the proxy would be told, by type URL and name; `metadata` is what it says of itself,
   * `shadow` takes the policies in that are only looked at.
   */
  config(
    dataplane: Resource,
    by: { readonly metadata: JsonObject; readonly shadow: boolean },
  ): JsonObject;
  /** The MeshGateway that a builtin gateway's proxy serves. */
  gatewayOf(dataplane: Resource): Resource | undefined;
  servesGateway(dataplane: Resource, gateway: Resource): boolean;
  servesRoute(dataplane: Resource, route: Resource): boolean;
}
