// IP addresses as text.

const IPV4 = /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

export function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

/** Without brackets and without a zone index. */
export function isIpv6(text: string): boolean {
  // The URL parser knows the grammar; the first test keeps it from seeing more than an address.
  return /^[\da-f:.]{2,45}$/i.test(text) && text.includes(":") && URL.canParse(`http://[${text}]/`);
}

export function isIp(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

/** An address to listen on everywhere, and to dial nowhere. */
export function isUnspecified(text: string): boolean {
  return text === "0.0.0.0" ||
    (isIpv6(text) && new URL(`http://[${text}]/`).hostname === "[::]");
}
