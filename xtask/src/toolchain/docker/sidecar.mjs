// Stands in for the sidecar that workerd (local development only) sends container traffic through, where its
// image cannot be pulled. Inbound connections are relayed; outbound interception is accepted and not done.
// workerd starts it with flags about outbound traffic, which therefore do not matter here.
//
// It relays for workerd, to the two ports of the supervisor, and to nothing else: on the container's loopback the gateway
// takes whoever it meets for its trusted proxy. It cannot listen on loopback itself, because Docker's port mapping comes
// in over the container's network. What comes so has the address of that network's gateway; another container that
// connects directly has one of its own, and the agent inside comes over loopback.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';

const PORT = 39001;
/** The ingress and the control port, as in core/src/wire/run.rs. */
const APP_PORTS = [8080, 8081];
/** How long a client may take to say what it wants. */
const HEAD_DEADLINE_MS = 60_000;

/** The address of the gateway in the text of /proc/net/route, where hosts are little-endian in hex. */
export function gatewayOf(routes) {
  const lines = routes.trim().split('\n').slice(1).map((line) => line.trim().split(/\s+/));
  const route = lines.find(([, destination]) => destination === '00000000');
  return route && Buffer.from(route[2], 'hex').reverse().join('.');
}

/** A server that relays for `peer` to the `ports` of the app. */
export function makeSidecar({ peer, ports }) {
  const server = createServer((request, response) => {
    const known =
      (request.method === 'PUT' && request.url.startsWith('/egress')) ||
      (request.method === 'GET' && request.url.startsWith('/ca'));
    request.resume();
    request.on('end', () => {
      response.writeHead(known ? 200 : 404, { 'content-type': 'text/plain' });
      response.end();
    });
  });

  // Before a byte is read: others are not even told that something listens here.
  server.on('connection', (client) => {
    if (client.remoteAddress?.replace('::ffff:', '') !== peer) client.destroy();
  });

  // The app container shares this container's network, so its ports are on this loopback.
  server.on('connect', (request, client, head) => {
    const port = Number(request.url.slice(request.url.lastIndexOf(':') + 1));
    client.setNoDelay(true);
    client.on('error', () => client.destroy());
    if (!ports.includes(port)) {
      client.end('HTTP/1.1 400 Bad Request\r\n\r\nno such port');
      return;
    }
    const app = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    let connected = false;
    app.on('connect', () => {
      connected = true;
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      if (head.length > 0) app.write(head);
      client.pipe(app);
      app.pipe(client);
    });
    app.on('error', (error) => {
      // Of an app that hangs up, the last words may still be on their way to the client: its close ends that.
      if (!connected) client.end(`HTTP/1.1 400 Bad Request\r\n\r\n${error.code ?? 'unreachable'}`);
    });
    // A half-closed side is passed on by pipe; a vanished one takes the other with it.
    client.on('close', () => app.destroy());
    app.on('close', () => client.destroySoon());
  });

  server.requestTimeout = 0;
  server.headersTimeout = HEAD_DEADLINE_MS;
  return server;
}

if (import.meta.main) {
  const peer = gatewayOf(readFileSync('/proc/net/route', 'utf8'));
  if (!peer) throw new Error('this network has no gateway, so it is not known where workerd comes from');
  makeSidecar({ peer, ports: APP_PORTS }).listen({ port: PORT, host: '::' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
}
