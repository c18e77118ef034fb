// Create, read, update, delete: the same for every kind.

import { renderViolation } from "../core/violation.ts";
import type { Draft, Resource, ResourceDescriptor, ResourceKey } from "../core/resource.ts";
import { initialPoliciesOf } from "../core/initial_resources.ts";
import { refuseKind } from "./access.ts";
import { admit } from "./admission.ts";
import { meshWarnings, permissionGoneWarnings, withoutEffect } from "./advice.ts";
import { bodyFormat, parseBody } from "./body.ts";
import { diff } from "./diff.ts";
import {
  answer,
  type ApiAnswer,
  type ApiOutcome,
  type ApiRequest,
  json,
  text,
} from "./exchange.ts";
import { renderForK8s } from "./k8s_form.ts";
import { checkMesh } from "./mesh_rules.ts";
import { checkImmutable } from "./labels.ts";
import { listPage, readListQuery } from "./listing.ts";
import { checkDeletable, ownedBy } from "./ownership.ts";
import { whyCopy, whyReadOnly } from "./permitted.ts";
import type { ApiView } from "./ports.ts";
import {
  badRequest,
  invalid,
  meshNotFound,
  notAllowed,
  notFound,
  problem,
  writeProblem,
} from "./problem.ts";
import { fieldName, renderOverview, renderResource } from "./render.ts";

const NOT_RETRIEVED = "Could not retrieve a resource";
const NOT_PROCESSED = "Could not process a resource";
const NOT_DELETED = "Could not delete a resource";

/** What a call is about. `mesh` undefined: over all meshes. */
export interface Target {
  readonly kind: ResourceDescriptor;
  readonly mesh?: string;
  readonly name?: string;
  readonly overview: boolean;
}

export function handleCollection(target: Target, request: ApiRequest, view: ApiView): ApiAnswer {
  const { kind, mesh, overview } = target;
  const query = readListQuery(request.query, kind, routePath(target));
  if ("status" in query) return query;
  const refused = refuseRead(target, request, view);
  if (refused) return refused;
  const insightKind = overview ? insightKindOf(kind, view) : undefined;
  return listPage(view.resources.list(kind.name, kind.scope === "Mesh" ? mesh : undefined), {
    request,
    query,
    render: (resource) => renderOne(resource, kind, { insightKind, view }),
  });
}

function routePath({ kind, mesh, overview }: Target): string {
  return `${mesh === undefined ? "" : "/meshes/{mesh}"}/${kind.plural}${
    overview ? "/_overview" : ""
  }`;
}

export function handleItem(
  target: Target & { readonly name: string },
  request: ApiRequest,
  view: ApiView,
): ApiOutcome {
  const { kind } = target;
  const key = { type: kind.name, mesh: target.mesh ?? "", name: target.name };
  switch (request.method) {
    case "PUT":
      return putItem(kind, key, { request, view });
    case "DELETE":
      return deleteItem(kind, key, { request, view });
    default:
      return answer(getItem(target, key, { request, view }));
  }
}

/** The kind that reports about this one; undefined when there is none, and so no overview. */
export function insightKindOf(
  kind: ResourceDescriptor,
  view: ApiView,
): ResourceDescriptor | undefined {
  return [...view.kinds.all()].find(({ insightOf }) => insightOf === kind.name);
}

interface Call {
  readonly request: ApiRequest;
  readonly view: ApiView;
}

function getItem(target: Target, key: ResourceKey, { request, view }: Call): ApiAnswer {
  const { kind } = target;
  const refused = refuseRead(target, request, view);
  if (refused) return refused;
  const resource = view.resources.get(key);
  if (!resource) return notFound(NOT_RETRIEVED);
  const insightKind = target.overview ? insightKindOf(kind, view) : undefined;
  if (!insightKind) return renderInFormat(resource, kind, request.query);
  const overview = renderOne(resource, kind, { insightKind, view });
  // Of one resource Kuma answers an insight even where there is none yet; in lists it does not.
  return json({ ...overview, [fieldName(insightKind)]: overview[fieldName(insightKind)] ?? {} });
}

/** In the form that the query names: Ursa's own, or that of a Kubernetes object. */
export function renderInFormat(
  resource: Resource,
  kind: ResourceDescriptor,
  query: URLSearchParams,
): ApiAnswer {
  const headers = { etag: etagOf(resource.version) };
  const format = query.get("format") || "universal";
  switch (format) {
    case "universal":
      return json(renderResource(resource, kind), { headers });
    case "k8s":
    case "kubernetes":
      return json(renderForK8s(resource, kind, query.get("namespace") ?? ""), { headers });
    default: {
      const message = `must be universal, k8s or kubernetes, is "${format}"`;
      return invalid(NOT_RETRIEVED, [{ path: "format", message }]);
    }
  }
}

function renderOne(
  resource: Resource,
  kind: ResourceDescriptor,
  { insightKind, view }: {
    readonly insightKind: ResourceDescriptor | undefined;
    readonly view: ApiView;
  },
) {
  if (!insightKind) return renderResource(resource, kind);
  const { mesh, name } = resource;
  const insight = view.resources.get({ type: insightKind.name, mesh, name });
  return renderOverview(resource, kind, { insight, insightKind });
}

function putItem(kind: ResourceDescriptor, key: ResourceKey, { request, view }: Call): ApiOutcome {
  const refused = refuseWrite(kind, key, { request, view });
  if (refused) return answer(refused);
  const format = bodyFormat(request.headers.get("content-type"));
  if (!format) {
    return answer(
      text("415: Unsupported Media Type, send application/json or application/yaml", 415),
    );
  }
  const body = parseBody(request.body, format);
  if (!body.ok) return answer(badRequest(body.error));
  const { control, resources } = view;
  const existing = resources.get(key);
  const admission = admit(kind, key, { body: body.value, control, existing });
  if (!admission.ok) {
    return answer(
      "error" in admission
        ? badRequest(admission.error)
        : invalid(NOT_PROCESSED, admission.violations),
    );
  }
  const { draft, notes } = admission;
  const fixed = existing ? checkImmutable(existing.labels, draft.labels) : [];
  if (fixed.length > 0) return answer(invalid("Could not update a resource", fixed));
  const outside = kind.name === "Mesh" ? checkMesh(draft, { resources, isNew: !existing }) : [];
  if (outside.length > 0) return answer(invalid(notStored(existing), outside));
  const stale = checkMatch(request, existing);
  if (stale) return answer(stale);
  const begins = !existing && kind.name === "Mesh" ? initialPoliciesOf(draft, control.newMesh) : [];
  const warnings = [
    ...notes.map(renderViolation),
    ...(kind.withoutEffect ? [withoutEffect(kind)] : []),
    ...(kind.name === "Mesh" ? meshWarnings(draft, begins, view) : []),
  ];
  return storeDraft(draft, { existing, begins, warnings, dryRun: isDryRun(request) });
}

function storeDraft(
  draft: Draft,
  { existing, begins, warnings, dryRun }: {
    readonly existing: Resource | undefined;
    /** What is there from the beginning of a mesh. */
    readonly begins: readonly Draft[];
    readonly warnings: readonly string[];
    readonly dryRun: boolean;
  },
): ApiOutcome {
  const before = existing ? { labels: existing.labels, spec: existing.spec } : {};
  const differences = diff(before, { labels: draft.labels, spec: draft.spec });
  const result = !existing ? "created" : differences.length === 0 ? "unchanged" : "updated";
  const said = warnings.length > 0 ? { warnings } : {};
  if (dryRun) {
    const steps = differences.map((step) => ({ ...step }));
    const also = begins.map(({ type, name }) => `${type}/${name}`);
    return answer(
      json({ dryRun: true, result, diff: steps, ...(also.length > 0 && { also }), ...said }),
    );
  }
  if (existing && result === "unchanged") {
    return answer(written(200, existing.version, { unchanged: true, ...said }));
  }
  return {
    do: "write",
    // Judged against this version: if another came first, the request is judged again.
    ops: [
      { op: "put", resource: draft, expected: existing?.version ?? 0 },
      ...begins.map((resource) => ({ op: "put" as const, resource })),
    ],
    then: (outcome) =>
      outcome.ok
        ? written(existing ? 200 : 201, outcome.revision, said)
        : writeProblem(notStored(existing), outcome),
  };
}

function notStored(existing: Resource | undefined): string {
  return `Failed to ${existing ? "update" : "create"} a resource`;
}

function deleteItem(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { request, view }: Call,
): ApiOutcome {
  const refused = refuseWrite(kind, key, { request, view });
  if (refused) return answer(refused);
  const existing = view.resources.get(key);
  if (!existing) return answer(notFound(NOT_DELETED));
  const stale = checkMatch(request, existing);
  if (stale) return answer(stale);
  const kept = checkDeletable(existing, view.resources);
  if (kept.length > 0) return answer(invalid(NOT_DELETED, kept));
  const owned = ownedBy(existing, view);
  const warnings = kind.name === "TrafficPermission"
    ? permissionGoneWarnings(existing, view.resources)
    : [];
  const said = warnings.length > 0 ? { warnings } : {};
  if (isDryRun(request)) {
    const also = owned.map(({ type, name }) => `${type}/${name}`);
    return answer(json({ dryRun: true, result: "deleted", also, ...said }));
  }
  return {
    do: "write",
    ops: [
      { op: "delete", key, expected: existing.version },
      ...owned.map((one) => ({ op: "delete" as const, key: one })),
    ],
    then: (outcome) =>
      outcome.ok ? written(200, outcome.revision, said) : writeProblem(NOT_DELETED, outcome),
  };
}

/** Kuma's tools read `warnings` only; the rest is ours, and ignored by them. */
function written(
  status: number,
  revision: number,
  more: { readonly warnings?: readonly string[]; readonly unchanged?: true },
): ApiAnswer {
  return json({ revision, ...more }, {
    status,
    headers: { "ursa-revision": String(revision), etag: etagOf(revision) },
  });
}

function refuseRead(target: Target, request: ApiRequest, view: ApiView): ApiAnswer | null {
  const denied = refuseKind(target.kind, { request, view });
  if (denied) return denied;
  return meshMissing(target.kind, target.mesh, view) && target.mesh !== undefined
    ? meshNotFound(target.mesh)
    : null;
}

function refuseWrite(
  kind: ResourceDescriptor,
  key: ResourceKey,
  { request, view }: Call,
): ApiAnswer | null {
  const readOnly = whyReadOnly(kind, view.control) ??
    whyCopy(view.resources.get(key), kind, view.control);
  if (readOnly) return notAllowed(readOnly);
  const denied = refuseKind(kind, { request, view });
  if (denied) return denied;
  return meshMissing(kind, key.mesh, view) ? meshNotFound(key.mesh) : null;
}

function meshMissing(kind: ResourceDescriptor, mesh: string | undefined, view: ApiView): boolean {
  return kind.scope === "Mesh" && mesh !== undefined &&
    !view.resources.get({ type: "Mesh", mesh: "", name: mesh });
}

/** `If-Match` names the version that the change was made from: stale ones are refused. */
function checkMatch(request: ApiRequest, existing: Resource | undefined): ApiAnswer | null {
  const wanted = request.headers.get("if-match");
  if (wanted === null) return null;
  const actual = existing ? etagOf(existing.version) : "none";
  const tags = wanted.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  const matches = tags.some((tag) =>
    tag === "*" ? existing !== undefined : tag === actual || `"${tag}"` === actual
  );
  if (matches) return null;
  return problem({
    status: 412,
    title: "Conflict",
    detail: `If-Match is ${wanted}, and the version is ${actual}: read the resource again and ` +
      "repeat the change",
    headers: existing ? { etag: actual } : {},
  });
}

function etagOf(version: number): string {
  return `"${version}"`;
}

function isDryRun(request: ApiRequest): boolean {
  const value = request.query.get("dry-run");
  return value !== null && value !== "false";
}
