// What leaves the mesh, in shape: ExternalService and ZoneEgress.

import { isIp } from "../address.ts";
import { isObject, textOf } from "../json.ts";
import {
  all,
  bool,
  type Check,
  type Fields,
  integerOf,
  join,
  keyed,
  nonEmptyText,
  object,
  oneOf,
  optionalPort,
  port,
  type Report,
  serviceTags,
  show,
  text,
} from "../shape.ts";
import { PROTOCOL_TAG, SERVICE_TAG } from "../tags.ts";
import { dataSource } from "./data_source.ts";

const HOST =
  /^[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,62})(\.[a-zA-Z0-9_][-a-zA-Z0-9_]{0,62})*\.?$|^[a-zA-Z0-9]$/;

/** `host:port`, or `[v6]:port`. */
function parsePlace(value: string): { readonly host: string; readonly port: string } | null {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(value);
  return found ? { host: found[1] ?? found[2]!, port: found[3]! } : null;
}

const place: Check = (value, path, report) => {
  const found = typeof value === "string" ? parsePlace(value) : null;
  if (!found) return report(path, `must be host:port, is ${show(value)}`);
  if (!isIp(found.host) && !HOST.test(found.host)) {
    report(path, "address has to be a valid IP address or a domain name");
  }
  port(found.port, path, report);
};

const PROTOCOL = oneOf(["tcp", "http", "http2", "grpc", "kafka", "tls", "mysql"]);

const knownProtocol: Check = (value, path, report) => {
  if (!isObject(value) || value[PROTOCOL_TAG] === undefined) return;
  PROTOCOL(value[PROTOCOL_TAG], keyed(path, PROTOCOL_TAG), report);
};

/** kuma@v2.13.10:pkg/core/resources/apis/mesh/external_service_validator.go. */
export const externalService: Check = object({
  networking: object({
    address: all(nonEmptyText, place),
    disableHostDNSEntry: bool,
    tls: object({
      enabled: bool,
      caCert: dataSource,
      clientCert: dataSource,
      clientKey: dataSource,
      serverName: nonEmptyText,
      allowRenegotiation: bool,
      skipHostnameVerification: bool,
    }),
  }, { required: ["address"] }),
  tags: all(serviceTags, knownProtocol),
}, {
  required: ["networking", "tags"],
  also({ networking, tags }, path, report) {
    const address = isObject(networking) ? networking["address"] : undefined;
    const service = isObject(tags) ? tags[SERVICE_TAG] : undefined;
    if (typeof address === "string" && service && parsePlace(address)?.host === service) {
      report(keyed(join(path, "tags"), SERVICE_TAG), "cannot be the same as networking.address");
    }
  },
});

/** An address or a name, or "" for what is not set. */
const host: Check = (value, path, report) => {
  if (value !== "" && (typeof value !== "string" || !(isIp(value) || HOST.test(value)))) {
    report(path, `address has to be a valid IP address or a domain name, is ${show(value)}`);
  }
};

/** kuma@v2.13.10:pkg/core/resources/apis/mesh/zone_egress_validator.go. */
export const zoneEgress: Check = object({
  zone: text,
  networking: object({ address: host, port, admin: object({ port: optionalPort }) }, {
    required: ["port"],
    also: checkAdmin,
  }),
}, { required: ["networking"] });

function checkAdmin({ address, port, admin }: Fields, path: string, report: Report): void {
  const own = isObject(admin) ? integerOf(admin["port"]) : undefined;
  const isHere = !address || ["127.0.0.1", "0.0.0.0", "::"].includes(textOf(address));
  if (own && isHere && own === integerOf(port)) {
    report(`${path}.admin.port`, "must differ from port");
  }
}
