// What a mesh asks of what is around it, after its own shape.

import { caSources, type MeshSpec } from "../core/mesh.ts";
import type { Draft } from "../core/resource.ts";
import type { Violation } from "../core/violation.ts";
import type { ResourceView } from "./ports.ts";

const NAME_MAX = 63;

/** kuma@v2.13.10:pkg/core/managers/apis/mesh. */
export function checkMesh(
  draft: Draft,
  { resources, isNew }: { readonly resources: ResourceView; readonly isNew: boolean },
): readonly Violation[] {
  const tooLong = { path: "name", message: `must be ${NAME_MAX} characters at most` };
  return [
    ...(isNew && draft.name.length > NAME_MAX ? [tooLong] : []),
    ...missingSecrets(draft, resources),
  ];
}

/** `skipValidation` is for meshes that come before their secrets, as those of an export do. */
function missingSecrets({ name, spec }: Draft, resources: ResourceView): readonly Violation[] {
  const { mtls } = spec as MeshSpec;
  if (mtls?.skipValidation) return [];
  return (mtls?.backends ?? []).flatMap((backend, index) => {
    if (backend.type !== "provided") return [];
    return Object.entries(caSources(name, backend)).flatMap(([half, { secret }]) => {
      const key = { type: "Secret", mesh: name, name: secret ?? "" };
      if (secret === undefined || resources.get(key)) return [];
      return [{
        path: `mtls.backends[${index}].conf.${half}`,
        message: `there is no Secret "${secret}" in mesh "${name}": create it before, or set ` +
          "mtls.skipValidation and create it after",
      }];
    });
  });
}
