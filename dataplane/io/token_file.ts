// The file with a proxy's token: read anew whenever it is needed, and handed on to Envoy when it changes.

import { dirname } from "node:path";
import { InvalidError } from "../../core/errors.ts";
import { tokenSecret } from "../token_secret.ts";

/** Whoever can read it is this proxy to the control plane. */
const OWN_EYES = 0o600;

/** "" without a file. */
export async function readToken(file: string): Promise<string> {
  if (file === "") return "";
  const token = (await Deno.readTextFile(file)).trim();
  if (/^[\w.~+/=-]+$/.test(token)) return token;
  throw new InvalidError("Cannot use the token", [
    { path: "--token-file", message: `${file} must hold one token and nothing else` },
  ]);
}

/**
 * Keeps Envoy's copy of the token as new as the file, until stopped: a stream that is opened after
 * a change shows the new token. What cannot be read or is no token changes nothing.
 */
export async function followToken(
  file: string,
  { copy, stop, log }: {
    readonly copy: string;
    readonly stop: AbortSignal;
    readonly log: (level: "info" | "warn", message: string, reason?: string) => void;
  },
): Promise<void> {
  let current = await readToken(file);
  await write(copy, tokenSecret(current));
  // The folder, and not the file: whoever replaces a file moves another one to its name.
  const watcher = Deno.watchFs(dirname(file), { recursive: false });
  const close = () => watcher.close();
  stop.addEventListener("abort", close, { once: true });
  if (stop.aborted) return close();
  void (async () => {
    for await (const { kind } of watcher) {
      if (kind === "access") continue;
      try {
        const token = await readToken(file);
        if (token === current) continue;
        await write(copy, tokenSecret(token));
        current = token;
        log("info", "The token changed; Envoy shows the new one from its next stream on");
      } catch (error) {
        log("warn", "The token file cannot be used; the former token stays", String(error));
      }
    }
  })();
}

/** Whole or not at all: Envoy takes what is moved there. */
async function write(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(`${path}.new`, text, { mode: OWN_EYES });
  await Deno.rename(`${path}.new`, path);
}
