// The list of differences in docs/compatibility.md, as the comparison reads it.

import type { Difference } from "./resource_difference.ts";

/** One row of the table: patterns in which `*` stands for anything. */
export interface Rule {
  readonly states: string;
  readonly resource: string;
  readonly path: string;
  readonly kind: string;
  readonly reason: string;
}

/**
 * What peers and users rely on agrees, or is mended: no row can list it. A service that no route
 * selects is the one exception, see `unrouted`.
 */
const MUST_AGREE = [
  /sni|server_names|subject_alt_names/,
  /rbac/,
  /lb_endpoints|weighted_clusters|metadata_match|subset/,
  /\.cluster\b|^filter_chains\[[^\]]*\{/,
  /routes\[\d+\](\.match|\.route\.(cluster|prefix_rewrite|regex_rewrite|host_rewrite)|$)/,
  /_headers_to_(add|remove)|transport_socket/,
  /lb_policy|_lb_config/,
];

/** Rows of tables with the header States | Resource | Path | Kind | Reason. */
export function readAllowed(markdown: string): readonly Rule[] {
  return markdown.split("\n").flatMap((line) => {
    const cells = line.split("|").slice(1, -1).map((cell) => cell.trim());
    const [states, resource, path, kind, reason] = cells;
    if (cells.length !== 5 || !states!.startsWith("`")) return [];
    const [plainStates, plainResource, plainPath] = [states!, resource!, path!].map(plain);
    return [{
      states: plainStates!,
      resource: plainResource!,
      path: plainPath!,
      kind: kind!,
      reason: reason!,
    }];
  });
}

function plain(cell: string): string {
  return cell.replaceAll("`", "");
}

export interface Found extends Difference {
  readonly state: string;
  /** About a service that no TrafficRoute selects. */
  readonly unrouted: boolean;
}

/** The row that lists the difference, unless it is one that no row can list. */
export function allows(rules: readonly Rule[], found: Found): Rule | undefined {
  if (!mayDiffer(found)) return undefined;
  return rules.find((rule) =>
    rule.reason !== "" && rule.kind === found.kind &&
    matches(rule.states, found.state) && matches(rule.resource, found.resource) &&
    matches(rule.path, found.path || ".")
  );
}

function mayDiffer({ resource, path, kind, unrouted }: Found): boolean {
  if (unrouted) return kind === "added";
  if (path === "") {
    // Whole resources: listeners of Kuma's own business, further listeners, and secrets.
    return resource.startsWith("secret/") || resource.startsWith("listener/kuma:") ||
      kind === "added" && resource.startsWith("listener/");
  }
  return !MUST_AGREE.some((pattern) => pattern.test(path));
}

function matches(pattern: string, text: string): boolean {
  const source = pattern.split("*").map(escape).join(".*");
  return new RegExp(`^${source}$`).test(text);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
