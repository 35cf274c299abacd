// The stand-in for workerd's sidecar, which is between workerd and a local container.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { gatewayOf, makeSidecar } from "../../xtask/src/toolchain/docker/sidecar.mjs";

async function listening(t, server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server.address().port;
}

/** A sidecar that relays for this machine, to an app that does `act` with each connection. */
async function startSidecar(t, act, peer = "127.0.0.1") {
  const app = createServer({ allowHalfOpen: true }, (socket) => {
    app.met += 1;
    socket.on("error", () => {});
    t.after(() => socket.destroy());
    act(socket);
  });
  app.met = 0;
  const port = await listening(t, app);
  return { app, port, sidecar: await listening(t, makeSidecar({ peer, ports: [port] })) };
}

/** Asks for a way to `to`; everything that comes back, until the end or an error. */
async function through(sidecar, to, body = "") {
  const socket = connect(sidecar, "127.0.0.1");
  socket.setTimeout(10_000, () => socket.destroy(new Error("nothing for 10 s")));
  socket.write(`CONNECT container:${to} HTTP/1.1\r\nhost: container:${to}\r\n\r\n`);
  let said = "";
  try {
    for await (const piece of socket) {
      if (said === "" && body) socket.write(body);
      said += piece;
    }
  } catch (error) {
    if (error.code !== "ECONNRESET" && error.code !== "EPIPE") throw error;
  }
  return said;
}

test("the sidecar relays to the supervisor's ports and no others", async (t) => {
  const { app, port, sidecar } = await startSidecar(t, (socket) => socket.end("the app"));
  assert.match(await through(sidecar, port), /200 OK\r\n\r\nthe app$/);
  const gateway = createServer((socket) => socket.end("the gateway, to its trusted proxy"));
  const loopback = await listening(t, gateway);
  for (const other of [loopback, 22, 0, -1, 65_536, "8080x", "", `${port}/x`]) {
    assert.match(await through(sidecar, other), /^HTTP\/1\.1 400 /, String(other));
  }
  assert.equal(app.met, 1);
});

test("the sidecar answers nobody but workerd", async (t) => {
  const { app, port, sidecar } = await startSidecar(t, (socket) => socket.end("the app"), "172.17.0.1");
  assert.equal(await through(sidecar, port), "");
  assert.equal(app.met, 0);
  const routes = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
`;
  assert.equal(gatewayOf(routes), "172.17.0.1");
  assert.equal(gatewayOf(routes.split("\n").slice(0, 2).join("\n")), undefined);
});

test("an early answer to a large upload comes through the sidecar", async (t) => {
  const answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nhi";
  const acts = {
    "hangs up": (socket) => socket.once("data", () => socket.end(answer)),
    "reads no further": (socket) => socket.once("data", () => {
      socket.pause();
      socket.end(answer);
    }),
  };
  for (const [what, act] of Object.entries(acts)) {
    const { port, sidecar } = await startSidecar(t, act);
    const said = await new Promise((resolve, reject) => {
      const socket = connect(sidecar, "127.0.0.1");
      let heard = "";
      socket.on("error", () => {});
      socket.on("close", () => resolve(heard));
      socket.setTimeout(10_000, () => reject(new Error(`${what}: no answer; ${heard}`)));
      socket.on("data", (piece) => {
        if (heard === "") socket.write(Buffer.alloc(16 << 20));
        heard += piece;
        if (heard.endsWith("hi")) socket.destroy();
      });
      socket.write(`CONNECT container:${port} HTTP/1.1\r\nhost: container\r\n\r\n`);
    });
    assert.ok(said.endsWith(answer), `${what}: ${said}`);
  }
});
