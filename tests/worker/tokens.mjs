// Makes access tokens in the shape of Supabase's, good and bad.
import { createHmac, generateKeyPairSync, randomUUID, sign as cryptoSign } from "node:crypto";

export const part = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export function esKey(kid) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig", key_ops: ["verify"] };
  return { alg: "ES256", kid, jwk, privateKey, publicKey };
}

export function rsKey(kid) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { alg: "RS256", kid, jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" }, privateKey, publicKey };
}

export function hsKey(secret) {
  return { alg: "HS256", secret };
}

export function claims(issuer, changes = {}) {
  const now = Math.floor(Date.now() / 1000);
  const base = {
    iss: issuer,
    sub: randomUUID(),
    aud: "authenticated",
    role: "authenticated",
    iat: now,
    exp: now + 3600,
    email: "somebody@example.com",
    phone: "",
    app_metadata: { provider: "email", providers: ["email"] },
    user_metadata: {},
    aal: "aal1",
    amr: [{ method: "password", timestamp: now }],
    session_id: randomUUID(),
    is_anonymous: false,
  };
  return Object.fromEntries(Object.entries({ ...base, ...changes }).filter(([, value]) => value !== undefined));
}

export function sign(payload, key, header = {}) {
  const text = `${part({ alg: key.alg, kid: key.kid, typ: "JWT", ...header })}.${part(payload)}`;
  return `${text}.${signature(text, key).toString("base64url")}`;
}

function signature(text, key) {
  if (key.secret) return createHmac("sha256", key.secret).update(text).digest();
  if (key.alg === "ES256") return cryptoSign("sha256", Buffer.from(text), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  return cryptoSign("sha256", Buffer.from(text), key.privateKey);
}

export function unsigned(payload, header = {}) {
  return `${part({ alg: "none", typ: "JWT", ...header })}.${part(payload)}.`;
}
