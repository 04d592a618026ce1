// For every reason of gateway/decision/reasons.ts, how a client meets it from outside, or why it cannot.

import assert from 'node:assert/strict';
import type { Reason } from '../../gateway/decision/reasons.ts';
import { type CertificateRequest, createAuthority } from '../../runtime/authority.ts';
import type { Answer, DeviceKeys } from '../support/client.ts';
import { clock, connectOver, type RunningGateway } from '../support/gateway.ts';
import type { DeviceWords, GatewayWords } from '../support/gateway-folder.ts';
import { claimsOf, makeKey, push, sessionRevoked, sign, signalWords } from '../support/signals.ts';
import {
  type HeldProxy,
  type NameServer,
  refusingPort,
  startDeaf,
  startScripted,
  startSilent,
  type TcpServer,
} from '../support/upstream.ts';

/** What is there before any gateway, so that settings can name it. */
export interface Lab {
  readonly names: NameServer;
  readonly echo: TcpServer;
  readonly heldProxy: HeldProxy;
  readonly unwillingProxy: TcpServer;
}

export interface RefusalCase {
  /** A gateway of its own, told so; left out, the one that all cases share. */
  readonly words?: (lab: Lab) => GatewayWords;
  readonly ask: (gateway: RunningGateway, lab: Lab) => Promise<Answer>;
}

/** No client is ever answered with it. */
export interface Unanswered {
  readonly because: string;
}

export const sharedWords = (lab: Lab): GatewayWords => ({
  devices: {
    unlisted: { inventory: { unlisted: true } },
    unenrolled: { inventory: { enrolled: false } },
    jailbroken: { inventory: { compromised: true } },
    failing: { inventory: { compliant: false } },
    lost: {},
  },
  settings: {
    dns: {
      servers: [`127.0.0.1:${lab.names.port}`],
      hosts: { 'up.closed.test': ['127.0.0.1'] },
    },
  },
  rules: [
    { id: 'forbidden', action: 'BLOCK', destinations: ['.forbidden.test'] },
    // Before the rule by address, which would have any other name looked up.
    { id: 'direct', action: 'BYPASS', destinations: ['.example.com'] },
    { id: 'closed', action: 'TUNNEL', destinations: ['*.closed.test'] },
    {
      id: 'open',
      action: 'TUNNEL',
      destinations: ['127.0.0.0/8', '::1'],
      open: ['127.0.0.0/8', '::1'],
    },
  ],
});

const connect = async (gateway: RunningGateway, target: string, keys?: DeviceKeys | null) =>
  (await gateway.connect(keys === undefined ? gateway.device('good') : keys, target)).reply;

async function send(gateway: RunningGateway, text: string): Promise<Answer> {
  const wire = await gateway.open(gateway.device('good'));
  wire.write(text);
  return await wire.answer();
}

const get = (gateway: RunningGateway, url: string, fields = '') =>
  send(gateway, `GET ${url} HTTP/1.1\r\nHost: any.test\r\n${fields}\r\n`);

const to = (port: number) => `up.lab.test:${port}`;

/** A device that would be healthy, with another certificate. */
const showing =
  (change: Partial<CertificateRequest>) =>
  async (gateway: RunningGateway, { echo }: Lab): Promise<Answer> => {
    const subject = [{ type: 'UID', value: 'device-good' }] as const;
    const request = { commonName: 'good', subject, usage: 'client', days: 1, ...change } as const;
    const { chainPem, keyPem } = await gateway.authority.issue(request);
    return await connect(gateway, to(echo.port), { cert: chainPem, key: keyPem });
  };

const as =
  (device: string) =>
  (gateway: RunningGateway, { echo }: Lab): Promise<Answer> =>
    connect(gateway, to(echo.port), gateway.device(device));

const uemSays = (uem: DeviceWords['uem'] & object): RefusalCase => ({
  words: () => ({ posture: 'uem', devices: { odd: { uem } } }),
  ask: as('odd'),
});

/** A device that the policy of the gateway does not admit. */
const admitting = (admit: object, inventory: DeviceWords['inventory'] & object): RefusalCase => ({
  words: () => ({ settings: { posture: { admit } }, devices: { odd: { inventory } } }),
  ask: as('odd'),
});

const throughProxy = ({ heldProxy, unwillingProxy }: Lab): GatewayWords => ({
  settings: {
    upstreams: {
      held: { host: '127.0.0.1', port: heldProxy.port },
      unwilling: { host: '127.0.0.1', port: unwillingProxy.port },
    },
  },
  rules: [{ id: 'partner', action: 'PROXY', upstream: 'held', destinations: ['*.partner.test'] }],
});

/** Asks, changes a file while the gateway is still connecting, and lets it go on. */
const editedWhileDialling =
  (file: string, from: string, into: string) =>
  async (gateway: RunningGateway, { heldProxy }: Lab): Promise<Answer> => {
    const asked = connect(gateway, 'www.partner.test:443');
    await heldProxy.arrived();
    await gateway.edit({ [file]: (await gateway.text(file)).replace(from, into) });
    heldProxy.letThrough();
    return await asked;
  };

const senderKey = await makeKey('k1');

/** A security event ends the sessions of the device while the gateway is still connecting. */
const endedWhileDialling = async (gateway: RunningGateway, { heldProxy }: Lab): Promise<Answer> => {
  const asked = connect(gateway, 'www.partner.test:443');
  await heldProxy.arrived();
  const event = await sign(senderKey, claimsOf(Date.now(), { events: sessionRevoked }));
  assert.equal(await push(gateway.adminPort, event), 202);
  heldProxy.letThrough();
  return await asked;
};

/** With one connection of `first` open, another device or the same one asks. */
const besides =
  (first: string, second: string) =>
  async (gateway: RunningGateway, { echo }: Lab): Promise<Answer> => {
    const open = await gateway.connect(gateway.device(first), to(echo.port));
    const refused = await connect(gateway, to(echo.port), gateway.device(second));
    open.socket.destroy();
    return refused;
  };

/** Certificates name a user, too. */
const named = { user: { subject: 'CN' } };

/** At a rate of one a second two at once are the burst, and of three one is refused. */
const threeAtOnce =
  (...names: readonly [string, string, string]) =>
  async (gateway: RunningGateway, { echo }: Lab): Promise<Answer> => {
    const wires = await Promise.all(names.map((name) => gateway.open(gateway.device(name))));
    const asked = wires.map((wire) => connectOver(wire, to(echo.port)));
    const replies = (await Promise.all(asked)).map(({ reply }) => reply);
    const refused = replies.find(({ status }) => status !== 200);
    assert.ok(refused, 'one of three is refused');
    return refused;
  };

async function askHeldName(gateway: RunningGateway, { names }: Lab): Promise<Answer> {
  const asked = connect(gateway, 'held.lab.test:443');
  await names.asked();
  clock.ahead += 61_000;
  names.answerHeld();
  return await asked;
}

/** Idle connections are closed when draining begins; on this one a request has begun. */
async function askWhileDraining(gateway: RunningGateway, { echo }: Lab): Promise<Answer> {
  const target = to(echo.port);
  const wire = await gateway.open(gateway.device('good'));
  wire.write(`CONNECT ${target} HTTP/1.1\r\n`);
  const open = await gateway.connect(gateway.device('other'), target);
  const stop = new AbortController();
  const drained = gateway.gateway.drain(stop.signal);
  wire.write(`Host: ${target}\r\n\r\n`);
  const answer = await wire.answer();
  open.socket.destroy();
  stop.abort();
  await drained;
  return answer;
}

async function askForeign(gateway: RunningGateway, { echo }: Lab): Promise<Answer> {
  const foreign = await createAuthority({ name: 'Test device CA', days: 1 });
  const subject = [{ type: 'UID', value: 'device-good' }] as const;
  const issued = await foreign.issue({ commonName: 'good', subject, usage: 'client', days: 1 });
  return await connect(gateway, to(echo.port), { cert: issued.chainPem, key: issued.keyPem });
}

/** No list speaks for what the intermediate issues. */
async function askUnderIntermediate(gateway: RunningGateway, { echo }: Lab): Promise<Answer> {
  const intermediate = await gateway.authority.issueAuthority({ name: 'Below', days: 1 });
  const subject = [{ type: 'UID', value: 'device-good' }] as const;
  const issued = await intermediate.issue({
    commonName: 'good',
    subject,
    usage: 'client',
    days: 1,
  });
  return await connect(gateway, to(echo.port), { cert: issued.chainPem, key: issued.keyPem });
}

/** What the origin does with a request; `bytes` may be nothing. */
const fromOrigin =
  (bytes: string, end: 'stays' | 'leaves') =>
  async (gateway: RunningGateway): Promise<Answer> => {
    await using origin = await startScripted(bytes, (socket) => {
      if (end === 'leaves') socket.destroy();
    });
    return await get(gateway, `http://${to(origin.port)}/`);
  };

export const refusalCases: Readonly<Record<Reason, RefusalCase | Unanswered>> = {
  'request.malformed': { ask: (gateway) => connect(gateway, 'up.lab.test') },
  'request.not_proxied': { ask: (gateway) => get(gateway, '/') },
  'request.method': {
    ask: (gateway) =>
      send(gateway, 'TRACE http://up.lab.test/ HTTP/1.1\r\nHost: up.lab.test\r\n\r\n'),
  },
  'request.scheme': { ask: (gateway) => get(gateway, 'ftp://up.lab.test/file') },
  'request.loop': {
    ask: (gateway, { echo }) => get(gateway, `http://${to(echo.port)}/`, 'Via: 1.1 gw\r\n'),
  },
  'request.protocol': { because: 'only HTTP/2 can ask for it: see h2.test.ts' },
  'request.abandoned': { because: 'the client has gone: see the test below' },

  'identity.no_certificate': {
    ask: (gateway, { echo }) => connect(gateway, to(echo.port), null),
  },
  'identity.untrusted': { ask: askForeign },
  'identity.not_yet_valid': { ask: showing({ notBefore: Date.now() + 3_600_000 }) },
  'identity.expired': { ask: showing({ notBefore: Date.now() - 2 * 86_400_000 }) },
  'identity.wrong_purpose': { ask: showing({ usage: 'server' }) },
  'identity.revoked': {
    words: () => ({ devices: { lost: {} } }),
    async ask(gateway, lab) {
      const lost = gateway.device('lost');
      await gateway.edit({ 'device-ca.crl': await gateway.revocationList([lost]) });
      return await as('lost')(gateway, lab);
    },
  },
  'identity.revocation_unknown': { ask: askUnderIntermediate },
  'identity.not_listed': {
    words: () => ({ settings: { identity: { allowedFingerprints: ['ab'.repeat(32)] } } }),
    ask: as('good'),
  },
  'identity.unmapped': { ask: showing({ subject: [] }) },

  'posture.unknown_device': { ask: as('unlisted') },
  'posture.unavailable': {
    words: () => ({ posture: 'uem' }),
    async ask(gateway, lab) {
      gateway.uem.setFault('down');
      return await as('good')(gateway, lab);
    },
  },
  'posture.blocked': {
    async ask(gateway, lab) {
      const path = `/api/v1/devices/${gateway.device('lost').udid}/block`;
      const { status } = await gateway.api('POST', path, { reason: 'left in a taxi' });
      assert.equal(status, 200);
      return await as('lost')(gateway, lab);
    },
  },
  'posture.not_enrolled': { ask: as('unenrolled') },
  'posture.enrolling': uemSays({ enrollment: 'EnrollmentInProgress' }),
  'posture.wiped': uemSays({ enrollment: 'EnterpriseWipePending' }),
  'posture.compromised': { ask: as('jailbroken') },
  'posture.non_compliant': { ask: as('failing') },
  'posture.not_evaluated': uemSays({ compliance: 'NotAvailable' }),
  'posture.pending': uemSays({ compliance: 'PendingComplianceCheck' }),
  'posture.not_seen': {
    words: () => ({
      settings: { posture: { admit: { seenWithin: '1h' } } },
      devices: { away: { inventory: { lastSeen: '2020-01-01T00:00:00Z' } } },
    }),
    ask: as('away'),
  },
  'posture.in_grace_period': {
    because: 'Workspace ONE knows no such state: see the tests of the sources that do',
  },
  'posture.ownership': admitting({ ownership: ['corporate'] }, { ownership: 'personal' }),
  'posture.os_outdated': admitting(
    { osVersion: { macos: '15.2' } },
    { platform: 'macos', osVersion: '15.1.9' },
  ),
  'posture.os_unknown': admitting({ osVersion: { macos: '15.2' } }, { platform: 'macos' }),
  'posture.groups': admitting({ groups: { noneOf: ['visitors'] } }, { groups: ['visitors'] }),
  'posture.tags': admitting({ tags: { allOf: ['encrypted'] } }, { tags: ['kiosk'] }),
  'posture.stale': {
    // The rule by address has the name looked up while deciding, and meanwhile the report grows old.
    words: ({ names }) => ({
      settings: { dns: { servers: [`127.0.0.1:${names.port}`] } },
      rules: [{ id: 'by-address', action: 'TUNNEL', destinations: ['192.0.2.0/24'] }],
    }),
    ask: askHeldName,
  },

  'rules.no_rule_set': {
    words: () => ({
      ruleFile: {
        ruleSets: [{ name: 'guests', assign: { groups: ['guests'] }, defaultAction: 'BLOCK' }],
      },
    }),
    ask: as('good'),
  },
  'rules.block': { ask: (gateway) => connect(gateway, 'www.forbidden.test:443') },
  'rules.bypass': { ask: (gateway) => connect(gateway, 'www.example.com:443') },
  'rules.changed': {
    words: throughProxy,
    ask: editedWhileDialling('dtr.yaml', 'upstream: held', 'upstream: unwilling'),
  },

  'egress.no_family': { ask: (gateway, { echo }) => connect(gateway, `[::1]:${echo.port}`) },
  'egress.unavailable': {
    // TEST-NET-1: no machine has it.
    words: () => ({ settings: { egress: { pools: { main: ['192.0.2.77'] } } } }),
    ask: as('good'),
  },
  'egress.changed': {
    words: throughProxy,
    ask: editedWhileDialling('zonegate.yaml', '127.0.0.10', '127.0.0.11'),
  },

  'address.metadata': { ask: (gateway) => connect(gateway, 'metadata.google.internal:80') },
  'address.special': {
    ask: (gateway, { echo }) => connect(gateway, `up.closed.test:${echo.port}`),
  },
  'address.self': { ask: (gateway) => connect(gateway, to(gateway.port)) },
  'address.blocked': {
    words: () => ({
      rules: [
        { id: 'named', action: 'TUNNEL', destinations: ['up.lab.test'], open: ['127.0.0.0/8'] },
        { id: 'no-addresses', action: 'BLOCK', destinations: ['127.0.0.1'] },
      ],
    }),
    ask: as('good'),
  },

  'limits.device_tunnels': {
    words: () => ({ settings: { limits: { tunnelsPerDevice: 1 } } }),
    ask: besides('good', 'good'),
  },
  'limits.device_rate': {
    words: () => ({ settings: { limits: { newTunnelsPerDevice: 1 } } }),
    ask: threeAtOnce('good', 'good', 'good'),
  },
  'limits.device_connections': {
    words: () => ({ settings: { limits: { connectionsPerDevice: 1 } } }),
    ask: besides('good', 'good'),
  },
  'limits.user_tunnels': {
    words: () => ({ settings: { identity: named, limits: { tunnelsPerUser: 1 } } }),
    ask: besides('good', 'good'),
  },
  'limits.user_rate': {
    words: () => ({ settings: { identity: named, limits: { newTunnelsPerUser: 1 } } }),
    ask: threeAtOnce('good', 'good', 'good'),
  },
  'limits.rate': {
    words: () => ({ settings: { limits: { newTunnels: 1 } } }),
    ask: threeAtOnce('good', 'other', 'good'),
  },
  'limits.tunnels': {
    words: () => ({ settings: { limits: { tunnels: 1 } } }),
    ask: besides('good', 'other'),
  },
  'limits.draining': { words: () => ({}), ask: askWhileDraining },

  'dns.failed': { ask: (gateway) => connect(gateway, 'nobody.lab.test:443') },
  'dns.timeout': {
    words: ({ names }) => ({
      settings: { dns: { servers: [`127.0.0.1:${names.port}`], timeout: '100ms' } },
    }),
    ask: (gateway) => connect(gateway, 'silent.lab.test:443'),
  },
  'dial.refused': { ask: async (gateway) => connect(gateway, to(await refusingPort())) },
  // A broadcast address: the system has no route to it for TCP.
  'dial.unreachable': { ask: (gateway) => connect(gateway, '127.255.255.255:443') },
  'dial.timeout': {
    words: () => ({ settings: { limits: { dial: '100ms' } } }),
    async ask(gateway) {
      await using deaf = await startDeaf();
      return await connect(gateway, to(deaf.port));
    },
  },
  'dial.upstream': {
    words: ({ unwillingProxy }) => ({
      settings: { upstreams: { unwilling: { host: '127.0.0.1', port: unwillingProxy.port } } },
      rules: [
        { id: 'partner', action: 'PROXY', upstream: 'unwilling', destinations: ['*.partner.test'] },
      ],
    }),
    ask: (gateway) => connect(gateway, 'www.partner.test:443'),
  },
  'origin.malformed': { ask: fromOrigin('SSH-2.0-OpenSSH_9.2\r\n', 'stays') },
  'origin.upgrade': {
    async ask(gateway) {
      await using origin = await startScripted(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n',
      );
      const fields = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
      return await get(gateway, `http://${to(origin.port)}/`, fields);
    },
  },
  'origin.incomplete': { ask: fromOrigin('', 'leaves') },
  'origin.timeout': {
    words: () => ({ settings: { limits: { firstByte: '100ms' } } }),
    async ask(gateway) {
      await using silent = await startSilent();
      return await get(gateway, `http://${to(silent.port)}/`);
    },
  },
  'gateway.session_revoked': {
    words(lab) {
      const proxied = throughProxy(lab);
      const { settings, files } = signalWords(senderKey);
      return { ...proxied, files, settings: { ...proxied.settings, ...settings } };
    },
    ask: endedWhileDialling,
  },
  'gateway.internal': {
    because: 'a fault of the gateway itself; no request is known to cause one',
  },
};
