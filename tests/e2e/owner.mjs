// A bot's owner, who asks for it, and what they have done in its home.
import { BACK_MS, Bot } from "./bot.mjs";
import { Notes } from "./notes.mjs";
import { openBrowser } from "./page.mjs";
import { until } from "../until.mjs";

export class Owner {
  /** Whoever asks for `path` of their bot. */
  static async of(stack, name, path = "/") {
    return Object.assign(new Owner(), { stack, name, path, id: stack.user(name).id, token: await stack.token(name) });
  }

  ask() {
    return this.stack.fetch(this.path, { token: this.token });
  }

  async state() {
    return (await this.stack.fetch("/api/bot", { token: this.token })).json();
  }

  async container() {
    const running = await this.stack.containerOf(this.name);
    return running && new Bot(running.id);
  }

  /** Asks until the bot answers, and presses "Try again now" where its page has that button. */
  async wakes() {
    await until(async () => {
      const answer = await this.ask();
      if (answer.ok) return true;
      const failed = ["bot-failed", "bot-crash-looped"].includes((await answer.json()).code);
      if (failed) await this.stack.fetch("/api/bot/restart", { method: "POST", token: this.token });
      return false;
    }, "it is served", { deadlineMs: BACK_MS });
    return this.container();
  }

  /** A page in a browser of theirs. */
  async page(t) {
    const browser = await openBrowser(t);
    const context = await browser.newContext({ extraHTTPHeaders: { authorization: `Bearer ${this.token}` } });
    return context.newPage();
  }
}

/** Runs a program in a bot's home and has a snapshot taken of what it leaves. */
export async function save(bot, program) {
  await Notes.node(bot, program);
  await bot.save();
}
