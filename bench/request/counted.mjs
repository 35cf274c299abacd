// Runs in workerd: ours, and what it counted for whoever asks with the header `x-bench-counts`.
import { calls } from "./calls.mjs";
import Ours, { Sandbox, operations } from "./ours.mjs";

export { Sandbox };

export default class extends Ours {
  fetch(request) {
    return request.headers.has("x-bench-counts") ? Response.json({ ...calls, operations }) : super.fetch(request);
  }
}
