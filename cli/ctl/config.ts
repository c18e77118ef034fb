// `ctl config`: adding, listing, switching and removing contexts.

import { stringify } from "yaml";
import { masked } from "../../api/control_plane.ts";
import type { JsonObject } from "../../core/resource.ts";
import {
  addContext,
  coordinatesOf,
  loadContexts,
  removeContext,
  saveContexts,
} from "../contexts.ts";
import { CommandError, EXIT, renderTable } from "../output.ts";
import type { CtlIo } from "./io.ts";
import { givenToken, refusalText } from "./session.ts";

const CHECK_MS = 10_000;

export interface AddOptions {
  readonly name: string;
  readonly address?: string;
  readonly mesh?: string;
  readonly skipCheck: boolean;
  readonly tokenFile?: string;
}

export async function addPlane(
  io: CtlIo,
  { name, address, mesh, skipCheck, tokenFile }: AddOptions,
): Promise<void> {
  if (address === undefined) throw new CommandError("--address must be given", EXIT.usage);
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new CommandError(`"${address}" is not an http:// or https:// address`, EXIT.usage);
  }
  if (!skipCheck) {
    const answer = await io.http(address, { timeoutMs: CHECK_MS }).request("GET", "/");
    if ((answer.json?.["product"] ?? answer.json?.["tagline"]) !== "Kuma") {
      throw new CommandError(`Cannot add "${name}": ${refusalText(answer, address)}`);
    }
  }
  const token = await givenToken(io, { ...(tokenFile !== undefined && { tokenFile }) });
  const contexts = await loadContexts(io.contexts);
  await saveContexts(
    io.contexts,
    addContext(contexts, {
      name,
      url: address,
      ...(mesh && { mesh }),
      ...(token !== undefined && { token }),
    }),
  );
  io.out(`added control plane "${name}" and switched to it\n`);
}

export async function listPlanes(io: CtlIo): Promise<void> {
  const contexts = await loadContexts(io.contexts);
  io.out(renderTable(
    ["ACTIVE", "NAME", "ADDRESS"],
    contexts.contexts.map(({ name }) => [
      name === contexts.currentContext ? "*" : "",
      name,
      coordinatesOf(contexts, name)?.url ?? "-",
    ]),
  ));
}

export async function switchPlane(io: CtlIo, name: string): Promise<void> {
  const contexts = await loadContexts(io.contexts);
  if (!coordinatesOf(contexts, name)) throw unknownPlane(io, name);
  await saveContexts(io.contexts, { ...contexts, currentContext: name });
  io.out(`switched to control plane "${name}"\n`);
}

export async function removePlane(io: CtlIo, name: string): Promise<void> {
  const contexts = await loadContexts(io.contexts);
  if (!coordinatesOf(contexts, name)) throw unknownPlane(io, name);
  await saveContexts(io.contexts, removeContext(contexts, name));
  io.out(`removed control plane "${name}"\n`);
}

export async function viewContexts(io: CtlIo): Promise<void> {
  const contexts = await loadContexts(io.contexts);
  io.out(stringify(masked(contexts as unknown as JsonObject)));
}

function unknownPlane(io: CtlIo, name: string): CommandError {
  return new CommandError(
    `There is no control plane "${name}" in ${io.contexts.path}: ` +
      "see `ursa ctl config control-planes list`",
    EXIT.usage,
  );
}
