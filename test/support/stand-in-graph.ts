// As much of Microsoft Graph as a posture source asks for: the token endpoint, managedDevices, paging and $batch.

import type { ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { type Answering, type Asked, answering, json } from './answering.ts';

export type GraphDevice = Readonly<Record<string, unknown>>;

export interface StandInGraph extends Answering {
  /** In answers in place of the devices, until null again; false goes on as if it were not there. */
  lie(how: ((asked: Asked, response: ServerResponse) => boolean) | null): void;
  set(devices: readonly GraphDevice[]): void;
  readonly tokens: () => number;
}

export const GRAPH = { tenant: 'contoso.example', clientId: 'app', clientSecret: 'battery staple' };
const PAGE = 3;

export function managedDevice(at: number, change: GraphDevice = {}): GraphDevice {
  return {
    id: guid(at + 1000),
    azureADDeviceId: guid(at),
    serialNumber: `5CG${at}`,
    userPrincipalName: 'ann@contoso.example',
    operatingSystem: 'Windows',
    osVersion: '10.0.22631.4602',
    model: 'Surface',
    managedDeviceOwnerType: 'company',
    managementAgent: 'mdm',
    deviceRegistrationState: 'registered',
    complianceState: 'compliant',
    complianceGracePeriodExpirationDateTime: '9999-12-31T23:59:59Z',
    jailBroken: 'Unknown',
    lastSyncDateTime: '2026-01-30T23:58:00Z',
    deviceCategoryDisplayName: '',
    ...change,
  };
}

export function guid(at: number): string {
  return `a8fdeca4-edb2-46e5-b617-${String(at).padStart(12, '0')}`;
}

/** Ends with the test. */
export async function standInGraph(
  t: TestContext,
  devices: readonly GraphDevice[],
): Promise<StandInGraph> {
  let all = devices;
  let lie: ((asked: Asked, response: ServerResponse) => boolean) | null = null;
  let tokens = 0;
  const server: Answering = await answering(t, (asked, response) => {
    const url = new URL(asked.path, server.url);
    if (url.pathname === `/${GRAPH.tenant}/oauth2/v2.0/token`) {
      const form = new URLSearchParams(asked.body);
      const isClient =
        form.get('client_secret') === GRAPH.clientSecret &&
        form.get('scope') === `${server.url}/.default`;
      if (!isClient) return json(response, { error: 'invalid_client' }, 401);
      tokens += 1;
      return json(response, { access_token: `t${tokens}`, token_type: 'Bearer', expires_in: 3599 });
    }
    if (!(asked.headers.authorization ?? '').startsWith('Bearer t')) {
      return json(response, { error: { code: 'InvalidAuthenticationToken' } }, 401);
    }
    if (lie?.(asked, response) === true) return;
    if (url.pathname === '/v1.0/$batch') {
      const { requests } = JSON.parse(asked.body) as { requests: { id: string; url: string }[] };
      const responses = requests.map(({ id, url: inner }) => {
        const found = look(all, new URL(`/v1.0${inner}`, server.url));
        return { id, status: found.status, headers: {}, body: found.body };
      });
      // The order of answers is Graph's own.
      return json(response, { responses: responses.toReversed() });
    }
    const found = look(all, url);
    return json(response, found.body, found.status);
  });
  return {
    ...server,
    lie(how) {
      lie = how;
    },
    set(next) {
      all = next;
    },
    tokens: () => tokens,
  };
}

function look(devices: readonly GraphDevice[], url: URL) {
  const [, id] = /^\/v1\.0\/deviceManagement\/managedDevices\/([^/]+)$/.exec(url.pathname) ?? [];
  if (id !== undefined) {
    const device = devices.find((one) => one['id'] === id);
    if (device !== undefined) return { status: 200, body: selected(device, url) };
    return {
      status: 404,
      body: { error: { code: 'ResourceNotFound', message: 'no such device' } },
    };
  }
  if (url.pathname !== '/v1.0/deviceManagement/managedDevices') {
    return { status: 400, body: { error: { code: 'BadRequest' } } };
  }
  const matching = devices.filter(filterOf(url.searchParams.get('$filter')));
  const from = Number(url.searchParams.get('$skiptoken') ?? 0);
  const body: Record<string, unknown> = {
    value: matching.slice(from, from + PAGE).map((device) => selected(device, url)),
  };
  if (from + PAGE < matching.length) {
    url.searchParams.set('$skiptoken', String(from + PAGE));
    body['@odata.nextLink'] = url.href;
  }
  return { status: 200, body };
}

/** `name eq 'value'`, several joined by `or`; `name ge moment`. */
function filterOf(text: string | null): (device: GraphDevice) => boolean {
  if (text === null) return () => true;
  const tests = text.split(' or ').map((part) => {
    const [, name = '', operator, value = ''] = /^(\w+) (eq|ge) '?([^']*)'?$/.exec(part) ?? [];
    return (device: GraphDevice) => {
      const own = String(device[name]);
      return operator === 'ge' ? Date.parse(own) >= Date.parse(value) : own === value;
    };
  });
  return (device) => tests.some((passes) => passes(device));
}

function selected(device: GraphDevice, url: URL): Record<string, unknown> {
  const names = (url.searchParams.get('$select') ?? '').split(',');
  return Object.fromEntries(Object.entries(device).filter(([name]) => names.includes(name)));
}
