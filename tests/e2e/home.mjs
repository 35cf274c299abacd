// What is in a bot's home, so that two can be compared: each file by its bytes, each database by what it says. Runs
// here on a directory, and as it stands in a container.
import { createHash } from "node:crypto";
import { createReadStream, lstatSync, openSync, readSync, closeSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pipeline } from "node:stream/promises";

// What is in no snapshot, as container/src/backup/worker/exclusions.rs has it; said again, so that nothing joins that list
// unnoticed.
const EXCLUDED = [
  /^\.openclaw\/(cache|plugin-skills|tmp|logs)$/,
  /^\.npm\/(_cacache|_npx|_logs)$/,
  /^\.cache\/(openclaw|pip|uv|yarn|pnpm|composer|node|node-gyp|typescript|go-build|ccache|sccache)$/,
  /^\.cache\/(fontconfig|matplotlib|mesa_shader_cache|thumbnails|pypoetry\/(artifacts|cache)|huggingface\/(hub|xet))$/,
  /^\.openclaw\/agents\/.*(generation-lock|generation-writer|reindex-lock)\.sqlite(-wal|-shm|-journal)?$/,
  /(^|\/)\.git\/.*\.lock$/,
];
const SIDECAR = /-(wal|shm|journal)$/;
const DATABASE = "SQLite format 3\0";

/** `{ files, databases }` of a home: what each path is, and what each database holds. */
export async function describe(home) {
  const found = { files: {}, databases: {} };
  await walk(home, "", found);
  return found;
}

async function walk(home, below, found) {
  const names = readdirSync(join(home, below)).sort();
  for (const name of names) {
    const path = join(below, name);
    const here = join(home, path);
    if (EXCLUDED.some((excluded) => excluded.test(path))) continue;
    const stat = lstatSync(here, { throwIfNoEntry: false });
    if (!stat) continue;
    const who = `${(stat.mode & 0o7777).toString(8)} ${stat.uid}:${stat.gid}`;
    if (stat.isSymbolicLink()) found.files[path] = `${who} -> ${readlinkSync(here)}`;
    else if (stat.isDirectory()) {
      found.files[`${path}/`] = who;
      await walk(home, path, found);
    } else if (!stat.isFile() || (SIDECAR.test(name) && names.includes(name.replace(SIDECAR, "")))) continue;
    else if (isDatabase(here)) found.databases[path] = { who, ...content(here) };
    else found.files[path] = `${who} ${stat.size} ${await digest(here)}`;
  }
}

async function digest(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function isDatabase(path) {
  const file = openSync(path);
  try {
    const start = Buffer.alloc(DATABASE.length);
    return readSync(file, start) === start.length && start.toString("latin1") === DATABASE;
  } finally {
    closeSync(file);
  }
}

/** Whether a database is sound, and every row of every table by its digest. */
function content(path) {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const [{ integrity_check: integrity }] = database.prepare("PRAGMA integrity_check").all();
    const tables = {};
    const named = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name").all();
    for (const { name } of named) {
      const rows = database.prepare(`SELECT * FROM "${name}"`);
      rows.setReadBigInts(true);
      tables[name] = rows.all().map((row) => rowDigest(row)).sort();
    }
    return { integrity, tables };
  } finally {
    database.close();
  }
}

function rowDigest(row) {
  const plain = (_, value) => {
    if (typeof value === "bigint") return `${value}n`;
    return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
  };
  return createHash("sha256").update(JSON.stringify(row, plain)).digest("base64url");
}
