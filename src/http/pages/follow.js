// Shared by the pages that follow a bot.
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

/** A reason, for as long as there is one. */
function explain(id, words) {
  tell(id, words ?? "");
  document.querySelector(id).hidden = !words;
}

function reach(at) {
  steps.forEach((item, index) => {
    item.className = index < at ? "done" : index === at ? "now" : "later";
  });
}

/** The bot's state. Asking never wakes it. */
async function state() {
  const answer = await fetch("/api/bot", { headers: { accept: "application/json" } });
  return answer.status === 401 ? null : answer.json();
}
