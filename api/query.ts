// Values of query parameters, read as Kuma reads them.

/** As Go's strconv.ParseBool; undefined for anything else. */
export function readBool(text: string | null): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text ?? "")) return true;
  return /^(0|f|F|FALSE|false|False)$/.test(text ?? "") ? false : undefined;
}
