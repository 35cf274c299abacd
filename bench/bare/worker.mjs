// The smallest Worker that puts a container behind a Durable Object: no sign-in, no limits, no state. What it costs is
// what the platform costs; `bench/request.mjs` measures ours beside it. The container's port takes `http:` alone, so on
// Cloudflare it would have to make a copy of the request first. It is left out: a smaller yardstick is a stricter one.
import { DurableObject } from "cloudflare:workers";

const INGRESS_PORT = 8080;

export class Sandbox extends DurableObject {
  fetch(request) {
    return this.ctx.container.getTcpPort(INGRESS_PORT).fetch(request);
  }
}

export default {
  fetch(request, env) {
    return env.SANDBOX.get(env.SANDBOX.idFromName("openclaw")).fetch(request);
  },
};
