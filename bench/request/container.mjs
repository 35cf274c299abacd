// Runs in workerd, under both Workers. A Durable Object gets a container whose ingress port is a service binding to a
// real HTTP server on loopback: what `getTcpPort` gives on Cloudflare is an object of the same kind, and nothing of
// JavaScript stands between it and the Worker that is measured.

/** The same `ctx`, and not a proxy of it that would be paid for with every access. */
export function give(ctx, container) {
  return Object.defineProperty(ctx, "container", { value: container });
}
