// Lines of Envoy's log as people can read them.

/**
 * Envoy prints the reason why a stream ended as it came over the wire, percent-encoded
 * (grpc@v1.66.0:doc/PROTOCOL-HTTP2.md, Status-Message); everything else stays as it is.
 */
export function readableLine(line: string): string {
  if (!/gRPC config stream to \S+ closed/.test(line)) return line;
  return line.replaceAll(/(?:%[\da-f]{2})+/gi, decoded);
}

function decoded(text: string): string {
  try {
    const plain = decodeURIComponent(text);
    // One line stays one line.
    return /\p{Cc}/u.test(plain) ? text : plain;
  } catch {
    return text;
  }
}
