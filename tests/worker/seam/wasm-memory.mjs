// Imported before the built Worker: notes the memory of every wasm instance it makes, to be looked at by tests.
const memories = [];
const Instance = WebAssembly.Instance;

WebAssembly.Instance = class extends Instance {
  constructor(module, imports) {
    super(module, imports);
    memories.push(...Object.values(this.exports).filter((value) => value instanceof WebAssembly.Memory));
  }
};

/** How many there were so far: one more for each that ended by a trap or a panic. */
export function wasmInstances() {
  return memories.length;
}

export function wasmBytes() {
  return memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
}
