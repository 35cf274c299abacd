// Follows the bot's start and goes on to the page that was asked for as soon as it answers. Asking for the
// state never wakes a bot; only the reload does.
const ASK_EVERY_MS = 1000;
const steps = ["allocating", "starting-gateway", "ready"];
const words = {
  allocating: "A machine is being made ready.",
  "starting-gateway": "The machine is up; the bot is starting. This takes up to a minute.",
  "restarting-gateway": "The bot ended while starting and is started again.",
};

function show(status) {
  const at = status.phase === "allocating" || !status.phase ? 0 : 1;
  for (const item of document.querySelectorAll("#steps li")) {
    const index = steps.indexOf(item.dataset.step);
    item.className = index < at ? "done" : index === at ? "now" : "later";
  }
  if (words[status.phase]) document.querySelector("#words").textContent = words[status.phase];
}

async function ask() {
  try {
    const answer = await fetch("/api/bot", { headers: { accept: "application/json" } });
    if (answer.status === 401) return location.reload();
    const status = await answer.json();
    const over = status.state === "backing-off" && Date.now() >= status.retry_at;
    if (status.state === "running" || status.state === "asleep" || over) return location.reload();
    if (status.state === "backing-off" && document.querySelector("#steps").dataset.state !== "backing-off") {
      return location.reload();
    }
    if (status.state === "starting") show(status);
  } catch {
    // The network is away for a moment; the next question finds out.
  }
  setTimeout(ask, ASK_EVERY_MS);
}
setTimeout(ask, ASK_EVERY_MS);
