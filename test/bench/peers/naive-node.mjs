// The least a Node proxy does: TLS, CONNECT, dial, pipe. It judges, logs and limits nothing: the floor under the gateway.
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { connect } from 'node:net';

const [port, certs] = process.argv.slice(2);
const server = createServer({
  key: readFileSync(`${certs}/server.key`),
  cert: readFileSync(`${certs}/server.pem`),
  ca: readFileSync(`${certs}/ca.pem`),
  requestCert: true,
  rejectUnauthorized: true,
  minVersion: 'TLSv1.2',
});

server.on('connect', (asked, device, head) => {
  const { hostname, port: originPort } = new URL(`http://${asked.url}`);
  const origin = connect({ host: hostname, port: Number(originPort), noDelay: true });
  const leave = () => {
    device.destroy();
    origin.destroy();
  };
  origin.once('connect', () => {
    device.setNoDelay(true);
    device.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) origin.write(head);
    device.pipe(origin).pipe(device);
  });
  for (const side of [device, origin]) side.on('error', leave).on('close', leave);
});

server.on('request', (asked, answer) => {
  const { method, headers } = asked;
  const forwarded = request(asked.url, { method, headers }, (got) => {
    answer.writeHead(got.statusCode, got.headers);
    got.pipe(answer);
  });
  forwarded.on('error', () => answer.destroy());
  asked.pipe(forwarded);
});

server.on('tlsClientError', (_, socket) => socket.destroy());
server.listen(Number(port), '127.0.0.1');
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
