// Everything that may be said to the DNS actor.

import type { ResourcesChanged } from "../hub/messages.ts";
import type { Path } from "../runtime/actor.ts";

export const DNS: Path = "dns";

export type DnsMsg = ResourcesChanged;
