// The smallest Worker as it is, with a container to reach.
import Bare, { Sandbox as Smallest } from "./worker.mjs";
import { give } from "../request/container.mjs";

export class Sandbox extends Smallest {
  constructor(ctx, env) {
    super(give(ctx, { getTcpPort: () => env.UPSTREAM }), env);
  }
}

export default Bare;
