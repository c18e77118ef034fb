// The data plane's side of a proxy's life: bootstrap, node metadata, Envoy's command line.
//
// Pure: the dp process around it is in io/. Both sides share this folder, so that what a proxy says
// about itself and what a control plane reads are one thing.

export { type BootstrapAnswer, type BootstrapContext, handleBootstrap } from "./bootstrap.ts";
export { INSTANCE_KEY, instanceOf } from "./node.ts";
export { parseProxyResource, type ProxyResource, renderProxyResource } from "./resource.ts";
