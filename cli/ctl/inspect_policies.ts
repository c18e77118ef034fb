// `ctl inspect policies` and `ctl inspect policy`: which policies a dataplane has, and the other way round.

import { objectOf, objectsOf } from "../../core/json.ts";
import type { JsonObject } from "../../core/resource.ts";
import { CommandError, EXIT, renderTable } from "../output.ts";
import { type InspectOptions, print } from "./inspect.ts";
import { ask, segment, type Session } from "./session.ts";
import { kindOf } from "./words.ts";

/** Each part of the dataplane with the policies that won there. */
export async function inspectPolicies(
  session: Session,
  dataplane: string,
  { output, headers }: InspectOptions,
): Promise<void> {
  const { json } = await ask(session, {
    path: `/meshes/${segment(session.mesh)}/dataplanes/${segment(dataplane)}/policies`,
    what: `inspect the policies of dataplane "${dataplane}"`,
  });
  const rows = objectsOf(json["items"]).flatMap((part) =>
    Object.entries(objectOf(part["matchedPolicies"])).map(([type, policies]) => [
      ...partCells(part),
      type,
      objectsOf(policies).map(({ name }) => name).join(", "),
    ])
  );
  const whole = Object.entries(objectOf(json["policies"]))
    .map(([type, policy]) => ["gateway", "-", "-", type, String(objectOf(policy)["name"])]);
  print(
    session,
    { value: json, output },
    () =>
      renderTable(["PART", "NAME", "SERVICE", "TYPE", "POLICIES"], [...rows, ...whole], {
        noHeaders: !headers,
      }),
  );
}

/** The dataplanes where a policy won, and in which part. */
export async function inspectPolicy(
  session: Session,
  { type, name }: { readonly type: string; readonly name: string },
  { output, headers }: InspectOptions,
): Promise<void> {
  const kind = kindOf(type, session.io.kinds);
  if (!kind.policy || kind.policy.uninspectable) {
    throw new CommandError(
      `${kind.name} is not found by which dataplanes have it: inspect a policy such as ` +
        "traffic-permission or meshtimeout",
      EXIT.usage,
    );
  }
  const { json } = await ask(session, {
    path: `/meshes/${segment(session.mesh)}/${kind.plural}/${segment(name)}/dataplanes`,
    what: `inspect ${kind.name} "${name}"`,
  });
  const rows = objectsOf(json["items"]).flatMap(({ dataplane, attachments = [{}] }) =>
    objectsOf(attachments).map((part) => [
      String(objectOf(dataplane)["name"]),
      ...partCells({ type: "gateway", ...part }),
    ])
  );
  print(
    session,
    { value: json, output },
    () => renderTable(["DATAPLANE", "PART", "NAME", "SERVICE"], rows, { noHeaders: !headers }),
  );
}

function partCells({ type, name = "-", service = "-" }: JsonObject): readonly string[] {
  return [type, name, service].map(String);
}
