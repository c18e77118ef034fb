// `ctl zone`: how zones come to a global, and which global a zone obeys.

import type { Command } from "commander";
import { objectOf } from "../../core/json.ts";
import { isZoneName } from "../../core/names.ts";
import { isOnline } from "../../core/proxy_status.ts";
import { CONTROL_PLANE_SCOPE } from "../../core/token.ts";
import { parseGlobalUrl } from "../../kds/io/client.ts";
import type { PeersStatus } from "../../actors/peers/messages.ts";
import { CommandError, EXIT, renderTable } from "../output.ts";
import { sessions, withExamples } from "./command.ts";
import { askForToken } from "./generate.ts";
import type { CtlIo } from "./io.ts";
import { ask, segment, type Session } from "./session.ts";
import { durationMs } from "./words.ts";

interface JoinOptions {
  readonly validFor: string;
  readonly globalAddress?: string;
}

export function addZoneCommands(ctl: Command, io: CtlIo): void {
  const withSession = sessions(io);
  const zone = ctl.command("zone").description("Join zones to a global, and zones to another one");
  withExamples(
    zone.command("join")
      .description("Print the command that joins a zone to this global, to run on its machine")
      .argument("<zone>", "its name, new or known")
      .option("--valid-for <duration>", "how long its token is good", "87600h")
      .option("--global-address <url>", "where it reaches global, if not where global says")
      .action(withSession<[string, JoinOptions]>(join)),
    [
      "ursa ctl zone join east",
      "ursa ctl zone join east --valid-for 8760h --global-address grpcs://global.example:5685",
    ],
  );
  withExamples(
    zone.command("accept-global")
      .description("Take the global that is connected now for the right one, deletions included")
      .action(withSession<[]>(acceptGlobal)),
    ["ursa ctl zone accept-global", "ursa ctl zone accept-global --address http://localhost:15681"],
  );
  withExamples(
    zone.command("links")
      .description("Show with which other zones this one speaks itself while global is gone")
      .option("--no-headers", "leave the header out")
      .action(withSession<[{ readonly headers: boolean }]>(links)),
    ["ursa ctl zone links --context east", "ursa ctl zone links --address http://localhost:15681"],
  );
  withExamples(zone, ["ursa ctl zone join east", "ursa ctl zone accept-global --context east"]);
}

/** What a global tells of how to come to it. */
interface Joining {
  readonly url: string | null;
  readonly caFingerprint: string | null;
  readonly auth: "token" | "none";
}

async function join(session: Session, zone: string, options: JoinOptions): Promise<void> {
  const { io } = session;
  if (!isZoneName(zone)) {
    throw new CommandError(
      `A zone's name is lower-case letters, digits and -, at most 63, not "${zone}"`,
      EXIT.usage,
    );
  }
  const validForMs = durationMs(options.validFor, "--valid-for");
  const { json } = await ask(session, { path: "/joining", what: `join zone "${zone}"` });
  const joining = json as unknown as Joining;
  const url = addressOf(joining, options);
  const words = ["ursa remote", `--zone ${zone}`, `--global ${url}`];
  if (joining.caFingerprint !== null && url.startsWith("grpcs:")) {
    words.push(`--global-ca-fingerprint ${joining.caFingerprint}`);
  }
  if (joining.auth === "token") {
    const claims = { zone, scope: [CONTROL_PLANE_SCOPE] };
    words.push(`--zone-token ${await askForToken(session, { kind: "zone", claims, validForMs })}`);
  }
  io.out(`${words.join(" \\\n  ")}\n`);
  await remark(session, zone, joining);
}

function addressOf({ url, caFingerprint }: Joining, { globalAddress }: JoinOptions): string {
  if (globalAddress !== undefined) {
    parseGlobalUrl(globalAddress);
    return globalAddress;
  }
  if (url !== null && caFingerprint !== null) return url;
  const why = url === null
    ? "global listens on every address (start it with --advertise HOST to have one told)"
    : "global takes zones without TLS, so something before it must have TLS";
  throw new CommandError(
    `Cannot tell where zones reach this global: ${why}. Say --global-address grpcs://HOST:PORT`,
    EXIT.usage,
  );
}

async function remark(session: Session, zone: string, { auth }: Joining): Promise<void> {
  const { io, http } = session;
  if (auth === "token") {
    io.err(
      `Run this on the machine of zone ${zone}. Whoever has the token is that zone. It is kept in ` +
        "the data folder there, so that later starts need neither it nor the fingerprint.\n",
    );
  } else {
    io.err("This global lets every zone in without a token (--zone-auth none).\n");
  }
  const known = await http.request("GET", `/zones/${segment(zone)}/_overview`);
  if (known.status !== 200 || !known.json || !isOnline(objectOf(known.json["zoneInsight"]))) return;
  io.err(
    `Zone ${zone} is connected now: another control plane under its name would take its place.\n`,
  );
}

async function links(session: Session, { headers }: { readonly headers: boolean }): Promise<void> {
  const { json } = await ask(session, { path: "/zone-links", what: "show links with other zones" });
  const { alone, peers } = json as unknown as PeersStatus;
  const rows = peers.map(({ zone, linkedSince, hears, tells, lastError, rejected }) => [
    zone,
    linkedSince ?? "-",
    [...(hears ? ["hears"] : []), ...(tells ? ["tells"] : [])].join(", ") || "-",
    rejected ?? lastError ?? "-",
  ]);
  session.io.out(
    renderTable(["ZONE", "LINKED SINCE", "IT", "LAST ERROR"], rows, { noHeaders: !headers }),
  );
  session.io.err(
    alone
      ? "Global is gone: other zones are heard themselves.\n"
      : "Global is there, or was a moment ago: what it says holds.\n",
  );
}

async function acceptGlobal(session: Session): Promise<void> {
  const { json } = await ask(session, {
    method: "POST",
    path: "/uplink/accept-global",
    what: "accept the global control plane",
  });
  session.io.out(`${json["message"]}\n`);
}
