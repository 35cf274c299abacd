// Things that happen at any moment, and how long others take.

/** Waits for no condition but chance: a kill comes when it comes. */
export function atRandom(chance, most) {
  return new Promise((resolve) => setTimeout(resolve, chance() * most));
}

/** Mulberry32: the same numbers for the same seed. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export async function timed(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
