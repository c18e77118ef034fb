// Loopback addresses of a run's own: two runs on one machine never meet.

/** A free /24 below 127.128.0.0/9, held until released. */
export interface AddressBlock {
  readonly cidr: string;
  /** The address with this last number. */
  address(host: number): string;
  release(): void;
}

/** Below the ports that the kernel gives to outgoing connections, and hardly anybody's. */
const CLAIM_PORT = 4_077;
const ATTEMPTS_MAX = 200;

/**
 * A listener on the block's first address holds the claim: it ends with the process that made it,
 * even a killed one, where a lock file would stay.
 */
export function claimBlock(): AddressBlock {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const [a = 0, b = 0] = crypto.getRandomValues(new Uint8Array(2));
    const prefix = `127.${128 + a % 128}.${b}`;
    try {
      const claim = Deno.listen({ hostname: `${prefix}.1`, port: CLAIM_PORT });
      return {
        cidr: `${prefix}.0/24`,
        address: (host) => `${prefix}.${host}`,
        release: () => claim.close(),
      };
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error(`No free range of addresses after ${ATTEMPTS_MAX} attempts`);
}

/** Port 80 where it may be bound; ordinary users may not, on most machines. */
export function choosePort(block: AddressBlock): number {
  try {
    Deno.listen({ hostname: block.address(254), port: 80 }).close();
    return 80;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return 8_080;
    throw error;
  }
}
