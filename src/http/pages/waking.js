// Follows the bot's start and goes on to the page that was asked for as soon as it answers. Asking for the
// state never wakes a bot; only the reload does.
const ASK_EVERY_MS = 1000;
const list = document.querySelector("#steps");
const steps = [...list.children];
const tell = (id, words) => {
  const place = document.querySelector(id);
  if (place.textContent !== words) place.textContent = words;
};

const megabytes = ({ bytes }) => Math.ceil(bytes / 1e6);

/** How far a restore or a snapshot is. */
function progress({ under_way }) {
  const { done, total } = under_way ?? {};
  const of = (count) => (total ? ` of ${count(total)}` : "");
  tell("#progress", done ? `${done.files}${of((t) => t.files)} files, ${megabytes(done)}${of(megabytes)} MB` : "");
}

/** What was passed over waits for somebody to decide; until then the page stays. */
function askAbout({ snapshots: [newest], why }) {
  if (why) tell("#why", why);
  tell("#back", JSON.stringify({ snapshot: newest }));
  document.querySelector("#choice").hidden = false;
}

/** What is not saved, and why, for as long as it is so. */
function warn({ trouble, unsaved_since } = {}) {
  const place = document.querySelector("#trouble");
  const reason = unsaved_since && trouble?.job === "snapshot" ? trouble.reason : undefined;
  tell("#trouble", reason === undefined ? "" : place.dataset.words + reason);
  place.hidden = reason === undefined;
}

function show({ phase = "allocating", reason = "" }) {
  const again = phase === "restarting-gateway";
  const at = steps.findIndex((item) => item.dataset.step === (again ? "starting-gateway" : phase));
  if (at < 0) return;
  steps.forEach((item, index) => {
    item.className = index < at ? "done" : index === at ? "now" : "later";
  });
  tell("#words", again ? list.dataset.startedAgain : steps[at].dataset.words);
  // A restore that is held up is tried again by itself.
  tell("#reason", reason);
  document.querySelector("#reason").hidden = !reason;
}

async function ask() {
  try {
    const answer = await fetch("/api/bot", { headers: { accept: "application/json" } });
    if (answer.status === 401) return location.reload();
    const status = await answer.json();
    progress(status);
    warn(status.backups ?? undefined);
    const choice = status.backups?.choice;
    if (choice) askAbout(choice);
    const waits = ["starting", "restoring", "stopping"].includes(status.state);
    if (choice && ["running", "unhealthy"].includes(status.state)) return show({ phase: "ready" });
    // What failed stays on the page until its pause is over or something has changed.
    const same = status.state === list.dataset.state && !(Date.now() >= status.retry_at);
    if (!waits && !(same && ["backing-off", "crash-looped"].includes(status.state))) return location.reload();
    if (status.state === "starting" || status.state === "restoring") show(status);
  } catch {
    // The network is away for a moment; the next question finds out.
  }
  setTimeout(ask, ASK_EVERY_MS);
}
// Who waits for a free place has no start to follow yet.
const pause = list.dataset.again;
setTimeout(pause ? () => location.reload() : ask, pause ?? ASK_EVERY_MS);
