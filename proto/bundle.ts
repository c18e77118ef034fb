// The checked-in descriptors, as the codecs read them.

import bundle from "./bundle.gen.json" with { type: "json" };

export type Presence =
  /** A plain proto3 field: its default value is the same as its absence. */
  | "implicit"
  /** Written whenever it is given: `optional`, and members of a oneof. */
  | "explicit"
  | "repeated"
  | "map";

export interface FieldRow {
  /** As in the .proto file. */
  readonly name: string;
  /** As in JSON. */
  readonly json: string;
  readonly number: number;
  /** A scalar's name, or the full name of a message or an enum; of the value, for a map. */
  readonly type: string;
  readonly presence: Presence;
  /** Type of a map's keys. */
  readonly key?: string;
  readonly oneof?: string;
}

type RawField = readonly [name: string, number: number, type: string, extra?: string];

const MESSAGES = new Map(Object.entries(bundle.messages as unknown as Record<string, RawField[]>));
const ENUMS = new Map(Object.entries(bundle.enums as Record<string, Record<string, number>>));

export function hasMessage(fullName: string): boolean {
  return MESSAGES.has(fullName);
}

/** Fields by ascending number, or undefined for a message that the bundle does not have. */
export function fieldsOf(fullName: string): readonly FieldRow[] | undefined {
  return MESSAGES.get(fullName)?.map(fieldOf);
}

export function enumOf(fullName: string): Readonly<Record<string, number>> | undefined {
  return ENUMS.get(fullName);
}

function fieldOf([name, number, type, extra = ""]: RawField): FieldRow {
  const [kind, detail = ""] = extra.split(" ");
  const common = { name, json: jsonName(name), number, type };
  switch (kind) {
    case "repeated":
      return { ...common, presence: "repeated" };
    case "map":
      return { ...common, presence: "map", key: detail };
    case "optional":
      return { ...common, presence: "explicit" };
    case "oneof":
      return { ...common, presence: "explicit", oneof: detail };
    default:
      return { ...common, presence: "implicit" };
  }
}

/** As protoc derives it: an underscore goes, and the letter after it becomes a capital. */
function jsonName(name: string): string {
  return name.replace(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());
}
