// Stands in for the sidecar that workerd (local development only) sends container traffic through, where its
// image cannot be pulled. Inbound connections are relayed; outbound interception is accepted and not done.
// workerd starts it with flags about outbound traffic, which therefore do not matter here.
import { createServer } from 'node:http';
import { connect } from 'node:net';

const PORT = 39001;

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

// The app container shares this container's network, so its ports are on this loopback.
server.on('connect', (request, client, head) => {
  const port = Number(request.url.slice(request.url.lastIndexOf(':') + 1));
  client.setNoDelay(true);
  client.on('error', () => client.destroy());
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
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
    if (connected) client.destroy();
    else client.end(`HTTP/1.1 400 Bad Request\r\n\r\n${error.code ?? 'unreachable'}`);
  });
  // A half-closed side is passed on by pipe; a vanished one takes the other with it.
  client.on('close', () => app.destroy());
  app.on('close', () => client.destroySoon());
});

server.requestTimeout = 0;
server.headersTimeout = 60_000;
server.listen({ port: PORT, host: '::' });

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
