import { testStore } from "./contract.ts";
import { openMemoryStore } from "./memory.ts";

testStore({
  name: "memory",
  durable: false,
  open: (_place, options) => Promise.resolve(openMemoryStore(options)),
  withPlace: (test) => test("here"),
});
