import { followGuide } from "../e2e/guides.ts";
import { interop } from "./interop.ts";
import { KUMA_BIN } from "./kuma.ts";

interop(import.meta.url, {
  peer: "kuma-dp",
  feature: "the first steps with kumactl and kuma-dp: docs/guides/kuma-tools.md",
}, () => followGuide("kuma-tools.md", [KUMA_BIN!]));
