// Files in a bot's home of which can be told, from their bytes alone, when they were written.
import { createHash } from "node:crypto";

const FILES = 24;
const FILE_BYTES = 1 << 20;
// Written once, at the very beginning.
const MARKER = "marker";
const DIRECTORY = "notes";

/** The notes of one test. */
export class Notes {
  #digests = new Map();

  constructor(seed) {
    this.seed = String(seed);
    this.version = 0;
  }

  /** Leaves the marker, once and for all. */
  leaveMarker(bot) {
    return bot.own(`mkdir ${DIRECTORY} && printf %s ${this.seed} > ${MARKER}`);
  }

  /** A program for the bot's container that writes all files anew; each changes in one step. */
  rewriting() {
    this.version += 1;
    return `for (let file = 0; file < ${FILES}; file += 1) {
        fs.writeFileSync("/tmp/note", bytes("${this.seed} " + file + " ${this.version}"));
        fs.renameSync("/tmp/note", "${DIRECTORY}/" + file);
      }`;
  }

  /** Runs a program in a bot's home. */
  static node(bot, program) {
    const bytes = `const bytes = (what) => require("crypto").createHash("shake256", { outputLength: ${FILE_BYTES} }).update(what).digest()`;
    return bot.own(`exec node -e '${bytes}; ${program}'`);
  }

  /** The version of every file; throws when the marker or a file is missing, or anything is in it that was never written. */
  async found(bot) {
    const sums = await bot.own(`printf "%s\\n" "$(cat ${MARKER})"; cd ${DIRECTORY} && sha256sum $(seq 0 ${FILES - 1})`);
    const [marker, ...lines] = sums.split("\n");
    if (marker !== this.seed) throw new Error(`the marker says ${marker}`);
    return lines.map((line, file) => this.#versionOf(line.split(" ")[0], file));
  }

  #versionOf(digest, file) {
    for (let version = this.version; version > 0; version -= 1) {
      if (this.#digest(file, version) === digest) return version;
    }
    throw new Error(`file ${file} was never like that`);
  }

  #digest(file, version) {
    const key = `${this.seed} ${file} ${version}`;
    if (!this.#digests.has(key)) {
      const bytes = createHash("shake256", { outputLength: FILE_BYTES }).update(key).digest();
      this.#digests.set(key, createHash("sha256").update(bytes).digest("hex"));
    }
    return this.#digests.get(key);
  }
}
