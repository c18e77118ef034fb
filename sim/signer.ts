// The signer of a simulated process: certificates are texts that say what they are.

import type { SignerCommand } from "../identity/signing.ts";

function certificateText(lines: string): string {
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** `serial` makes two of the same kind differ. */
export function sign(command: SignerCommand, serial: string): unknown {
  if (command.command === "create_ca") {
    return {
      cert: certificateText(`${command.mesh}-root-${serial}`),
      key: "-----BEGIN PRIVATE KEY-----",
    };
  }
  const { ca, uris, nowMs, lifetimeMs } = command;
  const cert = `${ca.cert.split("\n")[1]}/leaf-${serial} for ${uris.join(" ")}`;
  return { cert, key: "key", expiresAtMs: nowMs + lifetimeMs };
}
