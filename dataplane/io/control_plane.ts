// HTTP calls of a dp process to the dp-server, whose certificate its own root must have signed.

import https from "node:https";

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface ControlPlane {
  post(
    path: string,
    body: unknown,
    options?: { readonly signal?: AbortSignal; readonly token?: string },
  ): Promise<HttpAnswer>;
}

const answerBytesMax = 4 * 1024 * 1024;

/**
 * node:https and not fetch: a control plane's certificate is its own root, which rustls refuses as
 * a server's, while node's verification takes it.
 */
export function controlPlane(address: URL, caCert: string): ControlPlane {
  return {
    post: (path, body, { signal, token = "" } = {}) =>
      new Promise((done, fail) => {
        const text = JSON.stringify(body);
        const request = https.request({
          // URL keeps the brackets of an IPv6 address, sockets do not want them.
          host: address.hostname.replace(/^\[(.*)\]$/, "$1"),
          port: address.port || 443,
          method: "POST",
          path,
          agent: false,
          timeout: 10_000,
          headers: {
            "content-type": "application/json",
            accept: "application/json",
            ...(token && { authorization: token }),
            "content-length": new TextEncoder().encode(text).length,
          },
          ...(caCert ? { ca: caCert } : {}),
          ...(signal ? { signal } : {}),
        }, (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (part: string) => {
            body += part;
            if (body.length > answerBytesMax) request.destroy(new Error("the answer is too long"));
          });
          response.on("end", () => done({ status: response.statusCode ?? 0, body }));
          response.on("error", fail);
        });
        request.on("timeout", () => request.destroy(new Error("no answer within 10 s")));
        request.on("error", fail);
        request.end(text);
      }),
  };
}
