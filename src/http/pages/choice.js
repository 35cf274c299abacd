// Follows how what was there is put back, and goes on to the bot then.
const onward = () => location.replace("/");

/** Where it is, or undefined where nothing is to be followed. */
function standing({ state, restored, backups }) {
  const wanted = backups?.restore_wanted?.snapshot;
  if (!wanted) return undefined;
  if (restored?.snapshot === wanted) return state === "running" ? "ready" : "starting";
  return state === "restoring" ? "restoring" : "saving";
}

async function ask() {
  try {
    const status = await state();
    const step = status && standing(status);
    // It could not be done, and the question is there again; or it was, and is saved already.
    if (!status || (!step && status.backups?.choice)) return location.reload();
    if (!step || step === "ready" || !["running", "unhealthy", "starting", "restoring", "stopping"].includes(status.state)) return onward();
    const at = steps.findIndex((item) => item.dataset.step === step);
    reach(at);
    tell("#words", steps[at].dataset.words);
    progress(status);
    explain("#reason", status.reason ?? status.backups?.trouble?.reason);
  } catch {
    // The network is away for a moment; the next question finds out.
  }
  setTimeout(ask, ASK_EVERY_MS);
}
if (steps.length) setTimeout(ask, ASK_EVERY_MS);
