// Imported before the built Worker: counts the calls across the border between wasm and JavaScript, in both directions
// and by name. wasm's own memory and table pass as they are.

/** `name → calls` from wasm into JavaScript, and from JavaScript into wasm. */
export const calls = { out: {}, in: {} };

const Instance = WebAssembly.Instance;

function counted(functions, counts) {
  const pairs = Object.entries(functions).map(([name, value]) => {
    if (typeof value !== "function") return [name, value];
    // wasm-bindgen adds a hash to the name of an import.
    const plain = name.replace(/^__wbg_(_wbg_)?/, "").replace(/_?[0-9a-f]{16}$/, "");
    counts[plain] = 0;
    const count = (...given) => {
      counts[plain] += 1;
      return value(...given);
    };
    return [name, count];
  });
  return Object.fromEntries(pairs);
}

WebAssembly.Instance = class extends Instance {
  constructor(module, imports) {
    const watched = Object.entries(imports).map(([name, functions]) => [name, counted(functions, calls.out)]);
    super(module, Object.fromEntries(watched));
    Object.defineProperty(this, "exports", { value: counted(super.exports, calls.in) });
  }
};
