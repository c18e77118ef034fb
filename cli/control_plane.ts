// The commands `ursa global|remote|standalone`: their flags, their help, and the way to a configuration.

import { Command, Option } from "commander";
import { type Configured, resolveConfig, type Sources } from "./config.ts";
import { demandFiles } from "./permissions.ts";
import { demandNamed, readNamed } from "./named_file.ts";
import {
  type ControlPlaneConfig,
  fallbackOf,
  flagOf,
  type Mode,
  type SettingKey,
  SETTINGS,
  settingsOf,
  variableOf,
} from "./settings.ts";

const ABOUT: Readonly<Record<Mode, { readonly summary: string; readonly examples: string[] }>> = {
  global: {
    summary: "Run the global control plane: policies are written here and copied to every zone",
    examples: [
      "ursa global",
      "ursa global --bind 0.0.0.0 --advertise global.example --data /var/lib/ursa",
    ],
  },
  remote: {
    summary: "Run the control plane of one zone: it configures the zone's proxies",
    examples: [
      "ursa remote --zone east --global grpcs://localhost:5685 --global-ca ca.crt \\\n" +
      "      --zone-token-file east.token",
      "ursa remote --config east.yaml --log-format json",
    ],
  },
  standalone: {
    summary: "Run a control plane on its own: one zone without a global",
    examples: [
      "ursa standalone",
      "ursa standalone --store memory --api-port 0 --dp-port 0 --dns-port 0",
    ],
  },
};

export type StartControlPlane = (configured: Configured) => Promise<void>;

export function controlPlaneCommand(mode: Mode, start: StartControlPlane): Command {
  const { summary, examples } = ABOUT[mode];
  const command = new Command(mode).description(summary);
  for (const key of settingsOf(mode)) command.addOption(optionOf(key, mode));
  command.addOption(
    new Option("--config <FILE>", "YAML file with any of these settings, such as apiPort: 5681")
      .helpGroup("Configuration:"),
  );
  command.addHelpText(
    "after",
    [
      "",
      "A flag beats its environment variable, that the file, that the default.",
      "",
      "Examples:",
      ...examples.map((line) => `  $ ${line}`),
    ].join("\n"),
  );
  command.action(async (flags: Sources["flags"]) => {
    const configured = resolveConfig(mode, await readSources(mode, flags));
    await demandFilesOf(configured.config);
    await start(configured);
  });
  return command;
}

function optionOf(key: SettingKey, mode: Mode): Option {
  const { argument, group, help } = SETTINGS[key];
  const fallback = fallbackOf(key, mode, "NAME");
  const notes = [fallback && argument ? `default: ${fallback}` : null, `env: ${variableOf(key)}`];
  return new Option(
    argument ? `${flagOf(key)} <${argument}>` : flagOf(key),
    `${help} (${notes.filter((note) => note !== null).join(", ")})`,
  ).helpGroup(`${group}:`);
}

async function readSources(mode: Mode, flags: Sources["flags"]): Promise<Sources> {
  const env = (variable: string) => Deno.env.get(variable);
  const path = flags.config ?? env("URSA_CONFIG");
  if (typeof path !== "string") return { flags, env };
  const data = flags.data ?? env("URSA_DATA");
  const write = typeof data === "string" ? [data] : [];
  demandFiles({ set: mode, read: [path, ...write], write });
  return { flags, env, file: { path, text: await readNamed("--config", path) } };
}

async function demandFilesOf(config: ControlPlaneConfig): Promise<void> {
  const { mode, data, globalCa, zoneTokenFile } = config;
  const keys = [...config.dpTokenKeys, ...config.zoneTokenKeys, ...config.userTokenKeys]
    .map(({ path }) => path);
  const read = [data, globalCa, zoneTokenFile, ...keys].filter((path) => path !== null);
  demandFiles({ set: mode, read, write: [data] });
  if (globalCa !== null) {
    const hint = "global makes it at its first start, as ca.crt in its data folder";
    await demandNamed("--global-ca", globalCa, hint);
  }
  if (zoneTokenFile !== null) await demandNamed("--zone-token-file", zoneTokenFile);
}
