// The story of the demo, step by step; every sentence it prints was checked a moment before.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { quickstartDevices } from '../quickstart/devices.ts';
import { idpHost, quickstartEgress } from '../quickstart/templates.ts';
import type { Reload } from '../reloading.ts';
import { connect } from './device.ts';
import { direct, type Refreshed, refresh, signIn, throughTunnel } from './person.ts';
import type { World } from './world.ts';

/** Notes a fact: prints it, and lets the step fail when it does not hold. */
export type Note = (holds: boolean, fact: string) => void;

export interface Step {
  readonly title: string;
  run(world: World, note: Note): Promise<void>;
}

const healthy = quickstartDevices[0];

export function createStory(): readonly Step[] {
  // What one step learns and the next needs.
  let refreshToken = '';
  return [
    {
      title: 'The compliant device signs in through the tunnel',
      async run(world, note) {
        const route = await throughTunnel(world, 'compliant');
        const outcome = await signIn(world, route, 'ann');
        note(
          outcome.ok,
          outcome.ok ? `signed in as ${outcome.subject}` : `denied: ${outcome.status}`,
        );
        const seen = world.log.findLast((line) => line['event.name'] === 'zonegate.sign_on');
        const zones = JSON.stringify(seen?.['zonegate.zones'] ?? []);
        const from = seen?.['client.address'];
        note(
          zones === '["egress"]' && from === quickstartEgress,
          `the IdP saw it come from ${String(from)}, zones ${zones}`,
        );
        if (!outcome.ok) return;
        const renewed = await refresh(world, route, outcome.refreshToken);
        note(renewed.ok, `its token refresh works through the tunnel${refusedText(renewed)}`);
        if (renewed.ok) refreshToken = renewed.refreshToken;
        await route.close();
      },
    },
    {
      title: 'The same user without the tunnel is denied, and told why',
      async run(world, note) {
        const outside = direct(world);
        const outcome = await signIn(world, outside, 'ann');
        const page = outcome.ok ? '' : outcome.page;
        const status = outcome.ok ? 'a sign-in' : outcome.status;
        note(!outcome.ok && outcome.status === 403, `the sign-in page answers with ${status}`);
        note(
          page.includes('through the tunnel'),
          'the page says that it works only through the tunnel',
        );
        note(
          page.includes('sign-on.'),
          `the page names the reason: ${/sign-on\.\w+/.exec(page)?.[0]}`,
        );
        note(page.includes('https://help.example.com/'), 'the page links to the help');
        const refused = await refresh(world, outside, refreshToken);
        note(!refused.ok, `its token refresh is refused${refusedText(refused)}`);
        await outside.close();
        const inside = await throughTunnel(world, 'compliant');
        const renewed = await refresh(world, inside, refreshToken);
        note(
          renewed.ok,
          `the same refresh token still works back in the tunnel${refusedText(renewed)}`,
        );
        await inside.close();
      },
    },
    {
      title: 'Other devices are refused, each with its own reason',
      async run(world, note) {
        const expected = {
          'non-compliant': 'posture.non_compliant',
          revoked: 'identity.revoked',
          unknown: 'posture.unknown_device',
          foreign: 'identity.untrusted',
        };
        for (const [device, reason] of Object.entries(expected)) {
          await expectRefusal(world, note, { device, target: idpTarget(world), reason });
        }
      },
    },
    {
      title: 'Destinations are judged too',
      async run(world, note) {
        const device = 'compliant';
        const targets = {
          'www.example.com:443': 'rules.bypass',
          'www.gambling.example:443': 'rules.block',
          'metadata.lab.zonegate.test:80': 'address.metadata',
        };
        for (const [target, reason] of Object.entries(targets)) {
          await expectRefusal(world, note, { device, target, reason });
        }
      },
    },
    {
      title: 'A compliance change reaches the open tunnel',
      async run(world, note) {
        const udid = healthy?.udid ?? '';
        const target = idpTarget(world);
        const tunnel = await connect(world, 'compliant', target);
        note(tunnel.ok, 'a tunnel is open');
        if (!tunnel.ok) return;
        const changed = performance.now();
        const delivery = await world.uem.setDevice(udid, { compliance: 'NonCompliant' });
        note(delivery?.delivered === true, 'the UEM has posted its compliance-changed event');
        const cutMs = (await within(tunnel.closedAt, 5000)) - changed;
        note(cutMs < 1000, `the tunnel was closed ${cutMs.toFixed(0)} ms after the change`);
        const reason = 'posture.non_compliant';
        await expectRefusal(world, note, { device: 'compliant', target, reason });
        await world.uem.setDevice(udid, { compliance: 'Compliant' });
        await settled(world, udid);
        const again = await connect(world, 'compliant', target);
        note(
          again.ok,
          `back in compliance, a new tunnel opens${again.ok ? '' : ` (${again.reason})`}`,
        );
        if (again.ok) again.close();
        const route = await throughTunnel(world, 'compliant');
        const renewed = await refresh(world, route, (await signedInToken(world, route)) ?? '');
        note(renewed.ok, `and sign-in and refresh work again${refusedText(renewed)}`);
        await route.close();
      },
    },
    {
      title: 'The rule file is edited while it runs',
      async run(world, note) {
        const rules = await world.file('dtr.yaml');
        const target = 'www.example.com:443';
        const blocked = rules.replace(
          '[".gambling.example"]',
          '[".gambling.example", ".example.com"]',
        );
        note((await edit(world, blocked)).ok, 'a rule that blocks example.com is added and taken');
        await expectRefusal(world, note, { device: 'compliant', target, reason: 'rules.block' });
        const broken = blocked.replace('action: BLOCK', 'action: BLOK');
        const reload = await edit(world, broken);
        const [issue] = reload.ok ? [] : reload.issues;
        const line = broken.split('\n').findIndex((text) => text.includes('BLOK')) + 1;
        note(
          issue?.line === line,
          `a broken edit is reported: dtr.yaml:${issue?.line}:${issue?.column}: ${issue?.message}`,
        );
        await expectRefusal(world, note, { device: 'compliant', target, reason: 'rules.block' });
        const { ready, checks } = world.process.readiness.report();
        note(!ready, `readiness says so: ${checks['policy']?.replace(world.folder, '…')}`);
        note((await edit(world, rules)).ok, 'the original file is taken again');
        await expectRefusal(world, note, { device: 'compliant', target, reason: 'rules.bypass' });
      },
    },
  ];
}

function idpTarget(world: World): string {
  return `${idpHost}:${world.ports.idp}`;
}

async function expectRefusal(
  world: World,
  note: Note,
  asked: { readonly device: string; readonly target: string; readonly reason: string },
): Promise<void> {
  const { device, target, reason } = asked;
  const outcome = await connect(world, device, target);
  const got = outcome.ok ? 'let through' : `${outcome.status} ${outcome.reason}`;
  if (outcome.ok) outcome.close();
  note(!outcome.ok && outcome.reason === reason, `${device} device to ${target}: ${got}`);
}

function refusedText(refreshed: Refreshed): string {
  return refreshed.ok ? '' : `: ${refreshed.error}, ${refreshed.description}`;
}

async function signedInToken(world: World, route: Awaited<ReturnType<typeof throughTunnel>>) {
  const outcome = await signIn(world, route, 'ann');
  return outcome.ok ? outcome.refreshToken : null;
}

/** Writes the rule file and waits for the gateway to have noticed by itself. */
async function edit(world: World, text: string): Promise<Reload> {
  const { promise, resolve } = Promise.withResolvers<Reload>();
  world.process.onReload(resolve);
  await writeFile(join(world.folder, 'dtr.yaml'), text);
  return await within(promise, 5000);
}

/** The event is a hint: the gateway asks the UEM after it has answered the event. */
async function settled(world: World, udid: string): Promise<void> {
  await world.process.gateway?.posture.refresh(udid);
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`nothing happened in ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
