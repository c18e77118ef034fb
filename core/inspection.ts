// What may be asked about policies and proxies: which concern which. The API asks, the code that generates for proxies answers.

import type { Resource } from "./resource.ts";

/** The part of a proxy that policies are for. */
export interface Attachment {
  readonly type: "dataplane" | "inbound" | "outbound" | "service";
  /** `ADDRESS:PORT:WORKLOAD-PORT` of an inbound, `ADDRESS:PORT` of an outbound, "" of the whole proxy. */
  readonly name: string;
  readonly service: string;
  /** In order of type, then of precedence. */
  readonly policies: readonly Resource[];
}

/** Pure functions over one state of the store. */
export interface Inspection {
  /** By type and name of the part; of one policy's type, or of all. */
  attachments(dataplane: Resource, type?: string): readonly Attachment[];
  /** Whether the policy is for the proxy at all, whoever wins in the end. */
  concerns(policy: Resource, dataplane: Resource): boolean;
  /** The MeshGateway that a builtin gateway's proxy serves. */
  gatewayOf(dataplane: Resource): Resource | undefined;
  servesGateway(dataplane: Resource, gateway: Resource): boolean;
  servesRoute(dataplane: Resource, route: Resource): boolean;
}
