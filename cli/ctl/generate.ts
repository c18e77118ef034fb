// `ctl generate`: tokens, from a control plane or with a key at hand, and such keys.

import { type Command, Option } from "commander";
import type { JsonObject } from "../../core/resource.ts";
import { publicKeyPem, readPrivateKey } from "../../core/rsa_key.ts";
import { PROXY_TYPES, type TokenOrder, ZONE_SCOPES } from "../../core/token.ts";
import { newSigningKey } from "../../identity/io/signing_key.ts";
import { issueToken, type SigningKey } from "../../identity/tokens/issue.ts";
import { CommandError, EXIT } from "../output.ts";
import { sessions, withExamples } from "./command.ts";
import type { CtlIo } from "./io.ts";
import { refusalText, type Session } from "./session.ts";
import { durationMs } from "./words.ts";

interface TokenOptions {
  readonly validFor: string;
  readonly signingKeyPath?: string;
  readonly kid?: string;
}

interface DataplaneOptions extends TokenOptions {
  readonly name?: string;
  readonly tag: readonly string[];
  readonly workload?: string;
  readonly proxyType?: string;
}

interface ZoneOptions extends TokenOptions {
  readonly zone: string;
  readonly scope: readonly string[];
}

interface UserOptions extends TokenOptions {
  readonly name: string;
  readonly group: readonly string[];
}

const KEY_FORMATS = ["pem-base64", "pem"] as const;

export function addGenerateCommands(ctl: Command, io: CtlIo): void {
  const withSession = sessions(io);
  const generate = ctl.command("generate").description("Make tokens, and keys that sign them");
  withExamples(
    tokenCommand(generate, "dataplane", "A token for proxies, of the mesh that -m names")
      .option("--name <name>", "only for the dataplane of this name")
      .option("--tag <tag=value,…>", "only for these values of a tag", collect, [])
      .option("--workload <name>", "only for this workload")
      .addOption(new Option("--proxy-type <type>", "what the proxy is").choices(PROXY_TYPES))
      .action(
        withSession<[DataplaneOptions]>((session, options) =>
          printToken(session, dataplaneOrder(session, options), options)
        ),
      ),
    [
      "ursa ctl generate dataplane-token --tag kuma.io/service=web --valid-for 720h",
      "ursa ctl generate dataplane-token --name web-1 --valid-for 24h --signing-key-path key.pem --kid 2",
    ],
  );
  withExamples(
    tokenCommand(generate, "zone", "A token for a zone's own proxies, or for its control plane")
      .requiredOption("--zone <name>", "only for this zone")
      .option("--scope <scope,…>", `what for: ${ZONE_SCOPES.join(", ")}`, collect, [])
      .action(
        withSession<[ZoneOptions]>((session, options) =>
          printToken(session, zoneOrder(options), options)
        ),
      ),
    [
      "ursa ctl generate zone-token --zone east --valid-for 720h",
      "ursa ctl generate zone-token --zone east --scope ingress --valid-for 720h",
    ],
  );
  withExamples(
    tokenCommand(generate, "user", "A token for the REST API")
      .requiredOption("--name <name>", "of the user")
      .option("--group <group,…>", "groups of the user", collect, [])
      .action(
        withSession<[UserOptions]>((session, options) =>
          printToken(session, userOrder(options), options)
        ),
      ),
    [
      "ursa ctl generate user-token --name jane --group ops --valid-for 24h",
      "ursa ctl generate user-token --name ci --valid-for 1h --signing-key-path key.pem --kid 2",
    ],
  );
  addKeyCommands(generate, io);
}

function addKeyCommands(generate: Command, io: CtlIo): void {
  withExamples(
    generate.command("signing-key").description("A private key that signs tokens")
      .addOption(
        new Option("--format <format>", "pem-base64 is what a Secret's data is")
          .choices(KEY_FORMATS).default(KEY_FORMATS[0]),
      )
      .action(async ({ format }: { readonly format: typeof KEY_FORMATS[number] }) => {
        const pem = await newSigningKey();
        io.out(format === "pem" ? pem : btoa(pem));
      }),
    [
      "ursa ctl generate signing-key --format pem > key.pem",
      "ursa ctl apply -f key.yaml -v key=$(ursa ctl generate signing-key)",
    ],
  );
  withExamples(
    generate.command("public-key").description("The public half of a key, which verifies tokens")
      .requiredOption("--signing-key-path <file>", "PEM file of the private key")
      .action(async ({ signingKeyPath }: { readonly signingKeyPath: string }) => {
        io.out(publicKeyPem(await readSigningKey(io, signingKeyPath)));
      }),
    [
      "ursa ctl generate public-key --signing-key-path key.pem > public.pem",
      "ursa ctl generate public-key --signing-key-path /keys/2.pem",
    ],
  );
}

function tokenCommand(generate: Command, kind: TokenOrder["kind"], about: string): Command {
  return generate.command(`${kind}-token`).description(about)
    .requiredOption("--valid-for <duration>", "how long, such as 24h")
    .option("--signing-key-path <file>", "sign with this private key instead of asking")
    .option("--kid <id>", "id of that key: what verifiers know it by");
}

/** `--scope a,b --scope c` */
function collect(given: string, before: readonly string[]): readonly string[] {
  return [...before, ...given === "" ? [] : [given]];
}

function words(given: readonly string[]): readonly string[] {
  return given.flatMap((list) => list.split(",")).filter((word) => word !== "");
}

function dataplaneOrder(session: Session, options: DataplaneOptions): TokenOrder {
  return {
    kind: "dataplane",
    claims: {
      name: options.name ?? "",
      mesh: session.mesh,
      tags: tagsOf(options.tag),
      type: options.proxyType ?? "",
      workload: options.workload ?? "",
    },
    validForMs: validForMs(options),
  };
}

/** As kumactl reads them: `a=1,2` is one tag of two values, `a=1,b=2` two tags. */
function tagsOf(given: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const pairs = given.flatMap((one) => one.split("=").length === 2 ? [one] : one.split(","));
  return Object.fromEntries(pairs.map((pair) => {
    const [tag, values, ...more] = pair.split("=");
    if (!tag || !values || more.length > 0) {
      throw new CommandError(`--tag must be tag=value,…, is "${pair}"`, EXIT.usage);
    }
    return [tag, values.split(",")];
  }));
}

function zoneOrder(options: ZoneOptions): TokenOrder {
  const scope = words(options.scope);
  const unknown = scope.find((one) => !ZONE_SCOPES.includes(one));
  if (unknown !== undefined) {
    const known = ZONE_SCOPES.join(", ");
    throw new CommandError(`--scope must be some of ${known}, has "${unknown}"`, EXIT.usage);
  }
  return {
    kind: "zone",
    claims: { zone: options.zone, scope: scope.length > 0 ? scope : ["ingress", "egress"] },
    validForMs: validForMs(options),
  };
}

function userOrder(options: UserOptions): TokenOrder {
  return {
    kind: "user",
    claims: { name: options.name, groups: words(options.group) },
    validForMs: validForMs(options),
  };
}

function validForMs({ validFor }: TokenOptions): number {
  const length = durationMs(validFor, "--valid-for");
  if (length > 0) return length;
  throw new CommandError(`--valid-for must be more than 0, is "${validFor}"`, EXIT.usage);
}

/** No line end, as kumactl: Envoy takes a token file as it is. */
async function printToken(
  session: Session,
  order: TokenOrder,
  { signingKeyPath, kid }: TokenOptions,
): Promise<void> {
  const { io } = session;
  if (signingKeyPath === undefined) {
    if (kid !== undefined) {
      throw new CommandError("--kid goes with --signing-key-path alone", EXIT.usage);
    }
    return io.out(await askForToken(session, order));
  }
  if (!kid) throw new CommandError("--signing-key-path needs --kid beside it", EXIT.usage);
  const signingKey: SigningKey = { keyId: kid, key: await readSigningKey(io, signingKeyPath) };
  const at = { id: crypto.randomUUID(), nowMs: io.nowMs() };
  io.out(issueToken({ ...order, ...at }, signingKey));
}

/** POST /tokens/…: kuma@v2.13.10:pkg/tokens/builtin/server/types. */
export async function askForToken({ http }: Session, order: TokenOrder): Promise<string> {
  const body: JsonObject = { ...order.claims, validFor: `${order.validForMs}ms` };
  const answer = await http.request("POST", `/tokens/${order.kind}`, body);
  if (answer.status === 200 && answer.text.split(".").length === 3) return answer.text;
  throw new CommandError(
    `Cannot generate a ${order.kind} token: ${refusalText(answer, http.address)}`,
  );
}

async function readSigningKey(io: CtlIo, path: string): Promise<SigningKey["key"]> {
  const found = readPrivateKey(new TextEncoder().encode(await io.readFile(path)));
  if (found.ok) return found.key;
  throw new CommandError(`Cannot read --signing-key-path ${path}: it ${found.reason}`, EXIT.usage);
}
