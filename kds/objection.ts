// What a peer would end the whole stream for, found before it is sent: it stays at home alone.

import type { Draft, Json } from "../core/resource.ts";

/** Why no peer can take this; null when nothing speaks against it. */
export function objection({ name, mesh, labels, spec, status }: Draft): string | null {
  if (!isNameBetweenPeers(name)) return `its name "${name}" is illegal`;
  if (mesh !== "" && !isNameBetweenPeers(mesh)) return `the name of its mesh "${mesh}" is illegal`;
  const path = illFormed(labels, "labels") ?? illFormed(spec, "spec") ??
    illFormed(status ?? {}, "status");
  return path === null
    ? null
    : `${path} is no well-formed Unicode, so it cannot be written as UTF-8`;
}

/** Old ones, which nobody may make any more, still travel. kuma@v2.13.10:pkg/core/resources/apis/mesh */
export function isNameBetweenPeers(name: string): boolean {
  return /^[0-9a-z._-]{1,253}$/.test(name);
}

/** Half a surrogate pair passes JSON, but makes a protobuf string that Go refuses to read. */
function illFormed(value: Json, path: string): string | null {
  if (typeof value === "string") return value.isWellFormed() ? null : path;
  if (typeof value !== "object" || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
    const found = key.isWellFormed() ? illFormed(inner, at) : `${path}, in a key,`;
    if (found !== null) return found;
  }
  return null;
}
