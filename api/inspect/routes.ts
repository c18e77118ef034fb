// Which policies concern which proxies, and the other way round.

import type { Route } from "../route.ts";
import { ATTACHMENT_ROUTES } from "./attachments.ts";
import { CONFIG_ROUTES } from "./config.ts";
import { EXCLUSIVE_ROUTES } from "./exclusive.ts";
import { GATEWAY_ROUTES } from "./gateways.ts";
import { HOSTNAME_ROUTES } from "./hostnames.ts";
import { LAYOUT_ROUTES } from "./layout.ts";
import { RULE_ROUTES } from "./rules.ts";
import { SELECTED_ROUTES } from "./selected.ts";

export const INSPECT_ROUTES: readonly Route[] = [
  ...ATTACHMENT_ROUTES,
  ...CONFIG_ROUTES,
  ...EXCLUSIVE_ROUTES,
  ...GATEWAY_ROUTES,
  ...HOSTNAME_ROUTES,
  ...LAYOUT_ROUTES,
  ...RULE_ROUTES,
  ...SELECTED_ROUTES,
];
