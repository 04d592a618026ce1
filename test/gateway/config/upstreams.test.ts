// Upstream proxies in zonegate.yaml: one server or several, credentials, TLS, and what is wrong with them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readUpstreams, upstreamsSchema } from '../../../gateway/config/upstreams.ts';
import { formatIssue } from '../../../runtime/issue.ts';
import { parseWith } from '../../../runtime/schema.ts';

async function read(value: unknown, files: Readonly<Record<string, string>> = {}) {
  const parsed = parseWith(upstreamsSchema)(value);
  if (!parsed.ok) {
    return parsed.issues.map((issue) =>
      formatIssue({ ...issue, file: issue.path.join('.'), line: 1, column: 1 }),
    );
  }
  const asked: unknown[] = [];
  const upstreams = await readUpstreams(parsed.value, (file, path) => {
    asked.push(path.join('.'));
    const text = files[file];
    return Promise.resolve(text === undefined ? null : Buffer.from(text));
  });
  return { upstreams: [...upstreams.values()], asked };
}

const plain = { authorization: null, tls: null };

test('a server alone and a list of one are the same', async () => {
  const server = { host: 'Proxy.Partner.example', port: 3128 };
  const expected = [
    { name: 'partner', servers: [{ host: 'proxy.partner.example', port: 3128, ...plain }] },
  ];
  for (const partner of [server, { servers: [server] }]) {
    const { upstreams } = (await read({ partner })) as { upstreams: unknown };
    assert.deepEqual(upstreams, expected);
  }
});

test('each server has credentials and TLS of its own', async () => {
  const servers = [
    { host: '192.0.2.1', port: 3128, username: 'acme', password: 'password' },
    { host: 'b.example', port: 443, tls: true, authority: 'partner-ca.pem' },
    { host: '2001:db8::1', port: 443, tls: true },
  ];
  const made = await read({ partner: { servers } }, { 'partner-ca.pem': 'PEM' });
  assert.deepEqual(made, {
    upstreams: [
      {
        name: 'partner',
        servers: [
          { ...plain, host: '192.0.2.1', port: 3128, authorization: 'Basic YWNtZTpwYXNzd29yZA==' },
          { ...plain, host: 'b.example', port: 443, tls: { authority: 'PEM' } },
          { ...plain, host: '2001:db8::1', port: 443, tls: { authority: null } },
        ],
      },
    ],
    asked: ['upstreams.partner.servers.1.authority'],
  });
});

test('what is wrong is said of the way it was written', async () => {
  assert.deepEqual(await read({ partner: { host: 'a.example', prot: 3128 } }), [
    'partner.port:1:1: key `port` is missing, expected a number',
    'partner.prot:1:1: unknown key `prot` (did you mean `port`?)',
  ]);
  assert.deepEqual(await read({ partner: { servers: [{ host: 'a b', port: 1 }] } }), [
    'partner.servers.0.host:1:1: expected an address or a host name',
  ]);
  assert.deepEqual(await read({ partner: { servers: [] } }), [
    'partner.servers:1:1: expected at least 1 in this list',
  ]);
});

test('an authority without TLS, or a password without a user, is a mistake and not a wish', async () => {
  const at = { host: 'a.example', port: 3128 };
  assert.deepEqual(await read({ partner: { ...at, authority: 'ca.pem' } }), [
    'partner.authority:1:1: an authority is for `tls: true` only (set `tls: true`, or leave it out)',
  ]);
  assert.deepEqual(await read({ partner: { ...at, password: 'password' } }), [
    'partner.password:1:1: a password is for a `username` only (name the user, or leave it out)',
  ]);
});
