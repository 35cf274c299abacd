// Supabase Auth as far as the Worker speaks to it, with a handle on everything that can go wrong. It is stricter
// than the real one in one respect: a refresh token works once, with no second chance. The one with the real
// one's manners is `cargo xtask identity`.
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import * as tokens from "./tokens.mjs";

export const ALICE = "6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20";

export async function startProvider(t) {
  const keys = { es: tokens.esKey("es-1"), rs: tokens.rsKey("rs-1") };
  const provider = {
    keys,
    published: [keys.es.jwk, keys.rs.jwk],
    /** While false it answers 500. */
    up: true,
    /** How often it was asked for its keys. */
    asked: 0,
    /** Every call but those for the keys: `{ path, apikey, authorization, body }`. */
    calls: [],
    /** Seconds for which the access tokens it grants are valid. The Worker's leeway makes -10 a token that counts, of a session that has ended. */
    lifetime: 3600,
    /** Answered instead of anything else, by path: `{ "/token?grant_type=refresh_token": 429 }`. */
    answers: {},
    /** A promise that calls wait for. */
    hold: undefined,
    /** The key granted tokens are signed with. */
    signsWith: keys.es,
    /** Codes that wait for their verifier: `code → challenge`. */
    codes: new Map(),
  };
  const refreshTokens = new Map();

  const grant = (email, session = randomUUID()) => {
    const refresh_token = randomBytes(9).toString("base64url");
    refreshTokens.set(refresh_token, { email, session, spent: false });
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: ALICE, email, session_id: session, iat: now - 60, exp: now + provider.lifetime };
    return [200, { access_token: provider.token(claims, provider.signsWith), refresh_token, token_type: "bearer" }];
  };
  const endSession = (session) => {
    for (const [token, kept] of refreshTokens) if (kept.session === session) refreshTokens.delete(token);
  };
  const routes = {
    "/token?grant_type=password": ({ email, password }) => (password === "right" ? grant(email) : [400, { error_code: "invalid_credentials" }]),
    "/token?grant_type=refresh_token": ({ refresh_token }) => {
      const kept = refreshTokens.get(refresh_token);
      if (!kept) return [400, { error_code: "refresh_token_not_found" }];
      if (kept.spent) {
        endSession(kept.session);
        return [400, { error_code: "refresh_token_already_used" }];
      }
      kept.spent = true;
      return grant(kept.email, kept.session);
    },
    "/token?grant_type=pkce": ({ auth_code, code_verifier }) => {
      const challenge = provider.codes.get(auth_code);
      provider.codes.delete(auth_code);
      const fits = challenge && createHash("sha256").update(code_verifier).digest("base64url") === challenge;
      return fits ? grant("alice@example.com") : [404, { error_code: "flow_state_not_found" }];
    },
    "/otp": () => [200, {}],
    "/verify": ({ email, token, type }) => (type === "email" && token === "123456" ? grant(email) : [403, { error_code: "otp_expired" }]),
    "/logout?scope=local": (_, authorization) => {
      const claims = JSON.parse(Buffer.from(authorization.split(".")[1], "base64url"));
      endSession(claims.session_id);
      return [204];
    },
  };

  const server = createServer(async (request, response) => {
    const send = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(body && JSON.stringify(body));
    const path = request.url.replace("/auth/v1", "");
    if (path === "/.well-known/jwks.json") {
      provider.asked += 1;
      await provider.hold;
      return provider.up ? send(200, { keys: provider.published }) : send(500, { msg: "down" });
    }
    const text = await new Response(request).text().catch(() => "");
    const body = JSON.parse(text || "{}");
    const { apikey, authorization } = request.headers;
    provider.calls.push({ path, apikey, authorization, body });
    await provider.hold;
    if (!provider.up) return send(500, { msg: "down" });
    if (provider.answers[path]) return send(provider.answers[path], {});
    const route = routes[path] ?? routes[path.split("?")[0]];
    return route ? send(...route(body, authorization)) : send(404, {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  provider.url = `http://127.0.0.1:${server.address().port}`;
  provider.issuer = `${provider.url}/auth/v1`;
  provider.claims = (changes) => tokens.claims(provider.issuer, changes);
  provider.token = (changes = {}, key = keys.es) => tokens.sign(provider.claims(changes), key);
  provider.called = (path) => provider.calls.filter((call) => call.path.startsWith(path));
  return provider;
}
