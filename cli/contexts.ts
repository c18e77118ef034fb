// The contexts file: which control planes ctl knows, and which one it talks to.

import { parse, stringify } from "yaml";
import { CommandError } from "./output.ts";

interface ApiServer {
  readonly url: string;
  readonly authType?: string;
  readonly authConf?: { readonly token?: string };
}

/** The shape of kumactl's file. */
export interface Contexts {
  readonly controlPlanes: readonly {
    readonly name: string;
    readonly coordinates: { readonly apiServer: ApiServer };
  }[];
  readonly contexts: readonly {
    readonly name: string;
    readonly controlPlane: string;
    readonly defaults?: { readonly mesh?: string };
  }[];
  readonly currentContext?: string;
}

export interface ContextStore {
  /** For messages. */
  readonly path: string;
  /** undefined when there is no file yet. */
  read(): Promise<string | undefined>;
  write(content: string): Promise<void>;
}

const NO_CONTEXTS: Contexts = { controlPlanes: [], contexts: [] };

export async function loadContexts(store: ContextStore): Promise<Contexts> {
  const content = await store.read();
  if (content === undefined) return NO_CONTEXTS;
  try {
    const { controlPlanes = [], contexts = [], currentContext } = parse(content) ?? {};
    if (!Array.isArray(controlPlanes) || !Array.isArray(contexts)) throw new TypeError("no lists");
    return { controlPlanes, contexts, ...(currentContext && { currentContext }) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`Cannot read the contexts in ${store.path}: ${reason}`);
  }
}

export async function saveContexts(store: ContextStore, contexts: Contexts): Promise<void> {
  await store.write(stringify(contexts));
}

export function addContext(
  contexts: Contexts,
  { name, url, mesh, token }: {
    readonly name: string;
    readonly url: string;
    readonly mesh?: string;
    readonly token?: string;
  },
): Contexts {
  const apiServer = {
    url,
    ...(token !== undefined && { authType: "tokens", authConf: { token } }),
  };
  return {
    controlPlanes: [
      ...contexts.controlPlanes.filter((known) => known.name !== name),
      { name, coordinates: { apiServer } },
    ],
    contexts: [
      ...contexts.contexts.filter((known) => known.name !== name),
      { name, controlPlane: name, ...(mesh && { defaults: { mesh } }) },
    ],
    currentContext: name,
  };
}

export function removeContext(contexts: Contexts, name: string): Contexts {
  const { currentContext, ...rest } = contexts;
  return {
    ...rest,
    controlPlanes: contexts.controlPlanes.filter((known) => known.name !== name),
    contexts: contexts.contexts.filter((known) => known.controlPlane !== name),
    ...(currentContext && currentContext !== name && { currentContext }),
  };
}

/** Address, mesh and user token of a context; undefined when there is none of this name. */
export function coordinatesOf(
  { contexts, controlPlanes }: Contexts,
  name: string,
): { readonly url: string; readonly mesh?: string; readonly token?: string } | undefined {
  const context = contexts.find((known) => known.name === name);
  const controlPlane = controlPlanes.find((known) => known.name === context?.controlPlane);
  const mesh = context?.defaults?.mesh;
  if (!controlPlane) return undefined;
  const { url, authType, authConf } = controlPlane.coordinates.apiServer;
  const token = authType === "tokens" ? authConf?.token : undefined;
  return { url, ...(mesh && { mesh }), ...(token && { token }) };
}
