// An authenticator app: TOTP by RFC 6238, independent of what the identity provider computes.
import { createHmac } from "node:crypto";

function base32(text) {
  const bits = [...text].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

/** The code an authenticator app shows now. */
export function codeOf(secret) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", base32(secret)).update(counter).digest();
  const bits = digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff;
  return String(bits % 1_000_000).padStart(6, "0");
}
