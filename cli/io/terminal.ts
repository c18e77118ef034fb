// The terminal: data goes to stdout, prose to stderr.

export interface Terminal {
  /** One line of data. */
  readonly line: (text: string) => void;
  /** One line of prose. */
  readonly note: (text: string) => void;
  readonly exitCode: () => number;
}

export function terminalIo(): Terminal {
  return {
    line: (text) => console.log(text),
    note: (text) => console.error(text),
    exitCode: () => Deno.exitCode,
  };
}
