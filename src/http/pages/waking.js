// Follows the bot's start and goes on to the page that was asked for as soon as it answers: only the reload wakes it.

/** What was passed over waits for somebody to decide; until then the page stays. */
function askAbout({ why }) {
  if (why) tell("#why", why);
  document.querySelector("#choice").hidden = false;
}

/** What is not saved, and why, for as long as it is so. */
function warn({ trouble, unsaved_since } = {}) {
  const isUnsaved = unsaved_since && trouble?.doing === "snapshot";
  explain("#trouble", isUnsaved ? document.querySelector("#trouble").dataset.words + trouble.reason : undefined);
}

function show({ phase = "allocating", reason }) {
  const again = phase === "restarting-gateway";
  const at = steps.findIndex((item) => item.dataset.step === (again ? "starting-gateway" : phase));
  if (at < 0) return;
  reach(at);
  tell("#words", again ? list.dataset.startedAgain : steps[at].dataset.words);
  // A restore that is held up is tried again by itself.
  explain("#reason", reason);
}

async function ask() {
  try {
    const status = await state();
    if (!status) return location.reload();
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
