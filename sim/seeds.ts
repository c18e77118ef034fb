// sim/seeds.txt: runs that once found something, one in a line, with a word on what it was.

import { InvalidError } from "../core/errors.ts";
import { DEFAULT_MIX, type Mix } from "./plan.ts";

export interface Found {
  readonly seed: number;
  readonly mix: Mix;
  readonly what: string;
}

/** `SEED [name=value …]: what it found`; lines that begin with # are for readers. */
export function parseSeeds(text: string): readonly Found[] {
  return text.split("\n").filter((line) => line.trim() && !line.startsWith("#")).map((line) => {
    const [, seed, settings = "", what] = /^(\d+)((?: \w+=\w+)*): (.+)$/.exec(line) ?? [];
    if (seed === undefined || what === undefined) {
      throw new InvalidError(`Cannot read "${line}": must be SEED [name=value …]: what it found`);
    }
    const given = settings.trim().split(" ").filter(Boolean).map((setting) => {
      const [name, value] = setting.split("=") as [keyof Mix, string];
      if (!(name in DEFAULT_MIX)) throw new InvalidError(`${name} is no setting of a mix: ${line}`);
      return [name, name === "global" ? value === "true" : Number(value)];
    });
    return { seed: Number(seed), mix: { ...DEFAULT_MIX, ...Object.fromEntries(given) }, what };
  });
}

/** Only what differs from the default. */
export function mixText(mix: Mix): string {
  return Object.entries(mix).filter(([name, value]) => DEFAULT_MIX[name as keyof Mix] !== value)
    .map(([name, value]) => ` ${name}=${value}`).join("");
}
