// Who gets a bot, whose bot it is, and what happens when its container dies. Everything is real: wrangler
// dev, the Worker, Docker, the supervisor and OpenClaw.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hostileHomesAreSaved, oddAnswersDisturbNobody } from "./hostile.mjs";
import { docker, startStack } from "./stack.mjs";
import { until } from "../until.mjs";

test("bots", { timeout: 30 * 60_000 }, async (t) => {
  const stack = await startStack(t);

  await t.test("a refused user starts no container", async () => {
    const otherProject = "https://other.example/auth/v1";
    const refused = {
      "no token": [undefined, "sign-in-required"],
      "not a token": ["nonsense"],
      expired: [await stack.token("dev-1", "--expires-in", "-60"), "token-expired"],
      "wrong issuer": [await stack.token("dev-1", "--issuer", otherProject)],
      "wrong audience": [await stack.token("dev-1", "--audience", "other")],
      "anon role": [await stack.token("dev-1", "--role", "anon")],
      "the public key": [await stack.token("anon")],
      "subject is no UUID": [await stack.token("dev-1", "--subject", "undefined")],
    };
    for (const [what, [token, code = "token-refused"]] of Object.entries(refused)) {
      const answer = await stack.fetch("/", { token });
      assert.equal(answer.status, 401, what);
      assert.match(answer.headers.get("www-authenticate"), /^Bearer/, what);
      assert.equal((await answer.json()).code, code, what);
    }
    assert.deepEqual(await stack.containers(), []);
  });

  await t.test("each signing algorithm is accepted, and two users get two bots", async () => {
    const [one, two] = await Promise.all([stack.token("dev-1"), stack.token("dev-2", "--alg", "RS256")]);
    const legacy = await stack.token("dev-1", "--alg", "HS256");
    for (const page of await Promise.all([one, two, legacy].map((token) => stack.fetch("/", { token })))) {
      assert.equal(page.status, 200);
      assert.match(await page.text(), /data-openclaw-control-ui/);
    }
    const [ones, twos] = [await stack.containerOf("dev-1"), await stack.containerOf("dev-2")];
    assert.notEqual(ones.id, twos.id);
    assert.equal((await stack.containers()).length, 2);

    await docker("exec", ones.id, "sh", "-c", "echo dev-1 was here > /data/moltbot/marker");
    assert.equal(await docker("exec", ones.id, "cat", "/data/moltbot/marker"), "dev-1 was here");
    await assert.rejects(docker("exec", twos.id, "cat", "/data/moltbot/marker"), /No such file/);
  });

  await t.test("a killed container is replaced without affecting another bot", async () => {
    const token = await stack.token("dev-1");
    const [before, neighbour] = [await stack.containerOf("dev-1"), await stack.containerOf("dev-2")];
    await docker("kill", before.id);

    // What meets the dying container may be told to try again; that it ends well is what counts.
    const page = await until(async () => {
      const answer = await stack.fetch("/", { token });
      return answer.ok && answer;
    }, "dev-1 is served again");
    assert.match(await page.text(), /data-openclaw-control-ui/);
    const after = await stack.containerOf("dev-1");
    assert.notEqual(after.id, before.id);
    assert.equal(Number(after.run), Number(before.run) + 1);
    assert.deepEqual(await stack.containerOf("dev-2"), neighbour);
    const untouched = await stack.fetch("/", { token: await stack.token("dev-2") });
    assert.equal(untouched.status, 200);
  });

  await t.test("odd answers of one bot disturb no other's chat or download", (t) => oddAnswersDisturbNobody(t, stack, "dev-1", "dev-2"));

  await t.test("a hostile home is saved, with nothing from elsewhere", (t) => hostileHomesAreSaved(t, stack, "dev-2"));
});
