// A bot's repository in the local bucket, where things go wrong that no caller of the Worker can do. Each fault
// answers how to mend it.
import assert from "node:assert/strict";
import { readFile, readdir, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mint } from "../worker/repository.mjs";

export class Bucket {
  constructor(stack, user) {
    Object.assign(this, { stack, user });
    // Objects are files in it, under names of miniflare's own.
    this.blobs = join(stack.state, "wrangler/v3/r2/moltbot-data/blobs");
  }

  /** Removes a pack. */
  async removePack() {
    const [pack] = await (await this.#ask("GET", "data/")).json();
    const whole = await this.#read(`data/${pack}`);
    assert.equal((await this.#ask("DELETE", `data/${pack}`)).status, 200);
    return async () => assert.equal((await this.#ask("POST", `data/${pack}`, whole)).status, 200);
  }

  /** Deletes a snapshot, as maintenance of the current run does. */
  async forget(id, run) {
    assert.equal((await this.#ask("DELETE", `snapshots/${id}`, undefined, run)).status, 200);
  }

  /** Flips a bit of the repository's config. */
  async damageConfig() {
    const whole = await this.#read("config");
    const names = await readdir(this.blobs);
    const contents = await Promise.all(names.map((name) => readFile(join(this.blobs, name))));
    const name = names[contents.findIndex((content) => content.equals(whole))];
    const damaged = Buffer.from(whole);
    damaged[damaged.length >> 1] ^= 1;
    await writeFile(join(this.blobs, name), damaged);
    return () => writeFile(join(this.blobs, name), whole);
  }

  /** Flips a bit of the largest object. */
  async damageLargest() {
    const names = await readdir(this.blobs);
    const sized = await Promise.all(names.map(async (name) => ({ name, size: (await stat(join(this.blobs, name))).size })));
    const { name } = sized.reduce((a, b) => (b.size > a.size ? b : a));
    const bytes = await readFile(join(this.blobs, name));
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(join(this.blobs, name), bytes);
  }

  /** Takes every object's bytes away. */
  async takeAway() {
    const [place, elsewhere] = [this.blobs, `${this.blobs}.away`];
    await rename(place, elsewhere);
    this.blobs = elsewhere;
    return async () => {
      await rename(elsewhere, place);
      this.blobs = place;
    };
  }

  async #read(path) {
    const answer = await this.#ask("GET", path);
    assert.equal(answer.status, 200, path);
    return Buffer.from(await answer.arrayBuffer());
  }

  #ask(method, path, body, run = 1) {
    const { stack, user } = this;
    const token = mint(user, { run, scope: "maintain", key: stack.backupKey });
    return stack.fetch(`/_repo/${user}/${path}`, { method, token, body });
  }
}
