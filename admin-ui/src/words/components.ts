// The parts of the platform, in words.

const NAMES: Record<string, { name: string; does: string }> = {
  cron: { name: "Cron", does: "Looks once a minute for bots that nobody hears of." },
  database: { name: "Database (D1)", does: "Users, domains, history and incidents." },
  bucket: { name: "Bucket (R2)", does: "Every bot's snapshots." },
  queue: { name: "Queue", does: "Work that cron hands out." },
  "identity-provider": { name: "Identity provider", does: "Signs people in." },
  "container-platform": { name: "Container platform", does: "Runs the bots." },
  "alert-sinks": { name: "Alert sinks", does: "Tell you what is wrong." },
};

export function componentWords(component: string) {
  return NAMES[component] ?? { name: component, does: "" };
}
