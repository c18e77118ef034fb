// What inspection looks at: what a data plane would leave out, it leaves out too.

import { whyUnusable } from "../../core/usable.ts";
import type { Route } from "../route.ts";
import type { ApiView } from "../ports.ts";

/** Of JSON that a peer accepted not even the types of its fields are sure. */
function usableView(view: ApiView): ApiView {
  const { kinds, resources } = view;
  return {
    ...view,
    resources: {
      revision: resources.revision,
      get: (key) => resources.get(key),
      list(type, mesh) {
        const kind = kinds.byName(type);
        const all = resources.list(type, mesh);
        return kind && kind.message === undefined
          ? all.filter((one) => whyUnusable(one, kind).length === 0)
          : all;
      },
    },
  };
}

export function overUsable({ handler, ...route }: Route): Route {
  return { ...route, handler: (call) => handler({ ...call, view: usableView(call.view) }) };
}
