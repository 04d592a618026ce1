// The admin API's part about devices: what is known of each, why it is refused, blocking it, asking about it again.

import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { readMoment } from '../dtr-rules/moment.ts';
import { problem } from '../runtime/admin.ts';
import type { Log } from '../runtime/log.ts';
import { parseWith, section } from '../runtime/schema.ts';
import { StateError } from '../runtime/state/state-error.ts';
import type { Policy } from './decision/policy.ts';
import { compliances } from './decision/posture.ts';
import type { DeviceHealth } from './device-health.ts';
import { type DeviceRow, deviceRow } from './device-row.ts';
import { canonicalDeviceId } from './posture/source.ts';
import type { Blocks } from './state/blocks.ts';
import type { PostureRows } from './state/posture-rows.ts';

export interface DevicesApiParts {
  readonly health: DeviceHealth;
  readonly blocks: Blocks;
  readonly rows: PostureRows;
  readonly policy: () => Pick<Policy, 'posture'>;
  readonly log: Log;
  readonly now: () => number;
}

const mostOfPage = 1000;

export function mountDevicesApi(app: Hono, parts: DevicesApiParts): void {
  app.get('/devices', (context) => withState(() => listDevices(context, parts)));
  app.get('/devices/:id', (context) =>
    withDevice(context, async (deviceId) => {
      const row = await rowFor(deviceId, parts);
      return row === null ? nothingKnown() : Response.json(row);
    }),
  );
  app.post('/devices/:id/refresh', (context) =>
    withDevice(context, async (deviceId) => {
      const facts = await parts.health.refresh(deviceId);
      return Response.json(deviceRow(deviceId, facts, parts.policy().posture, parts.now()));
    }),
  );
  app.post('/devices/:id/block', (context) =>
    withDevice(context, (deviceId) => block(deviceId, context, parts)),
  );
  app.delete('/devices/:id/block', (context) =>
    withDevice(context, (deviceId) => unblock(deviceId, parts)),
  );
}

async function withDevice(
  context: Context,
  answer: (deviceId: string) => Promise<Response>,
): Promise<Response> {
  const deviceId = canonicalDeviceId(context.req.param('id') ?? '');
  if (deviceId === null) return problem(404, 'Not Found', 'this is no device id');
  return await withState(() => answer(deviceId));
}

async function withState(answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    return problem(503, 'Service Unavailable', `${error.message}; ${error.fix}`);
  }
}

function nothingKnown(): Response {
  const detail = 'nothing is known of this device; ask its source about it with refresh';
  return problem(404, 'Not Found', detail);
}

/** What is in memory is newer than what is written; devices that came to other gateways are written only. */
async function rowFor(deviceId: string, parts: DevicesApiParts): Promise<DeviceRow | null> {
  const { health, blocks, rows, policy, now } = parts;
  const facts = health.peek(deviceId);
  const report = facts?.report ?? (await rows.read([deviceId])).get(deviceId) ?? null;
  const block = blocks.list.find(deviceId);
  if (facts === undefined && report === null && block === null) return null;
  const known = facts?.known ?? false;
  return deviceRow(deviceId, { report, known, block }, policy().posture, now());
}

const line = (most: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .regex(/^\P{Cc}+$/u, 'expected one line');

/** Where a page ended: the id of a device. */
const cursor = z
  .base64url()
  .transform((text) => Buffer.from(text, 'base64url').toString())
  .refine((text) => canonicalDeviceId(text) === text, 'expected the `next_cursor` of a page');

const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(mostOfPage).default(100),
  cursor: cursor.optional(),
  compliance: z.enum(compliances).optional(),
  source: line(100).optional(),
  blocked: z.enum(['true', 'false']).optional(),
});

async function listDevices(context: Context, parts: DevicesApiParts): Promise<Response> {
  const asked = parseWith(listQuery)(context.req.query());
  if (!asked.ok) {
    const errors = asked.issues.map(({ path, message }) => ({
      detail: message,
      pointer: `/${path.join('/')}`,
    }));
    return problem(400, 'Bad Request', 'these parameters cannot be used', errors);
  }
  const { limit, cursor: after = null, compliance = null, source = null } = asked.value;
  const blocked = asked.value.blocked === undefined ? null : asked.value.blocked === 'true';
  const now = parts.now();
  await parts.rows.flush();
  const query = { after, limit: limit + 1, compliance, source, blocked, now };
  const reports = new Map(
    (await parts.rows.page(query)).map((report) => [report.deviceId, report]),
  );
  // Blocked devices nobody has a report of are devices, too; they have nothing a report would be chosen by.
  const others =
    compliance === null && source === null && blocked !== false ? blockedIds(after, parts) : [];
  const ids = [...new Set([...reports.keys(), ...others])].toSorted(byBytes);
  const items = ids.slice(0, limit).map((deviceId) => {
    const { known = false } = parts.health.peek(deviceId) ?? {};
    const report = reports.get(deviceId) ?? null;
    const facts = { report, known, block: parts.blocks.list.find(deviceId) };
    return deviceRow(deviceId, facts, parts.policy().posture, now);
  });
  const last = items.at(-1);
  const isMore = ids.length > limit && last !== undefined;
  const next = isMore ? Buffer.from(last.device_id).toString('base64url') : null;
  return Response.json({ items, next_cursor: next });
}

function blockedIds(after: string | null, { blocks }: DevicesApiParts): readonly string[] {
  const ids = blocks.list.all().map(({ deviceId }) => deviceId);
  return after === null ? ids : ids.filter((deviceId) => byBytes(deviceId, after) > 0);
}

/** Ids are ASCII: the order of bytes is that of code units, and that of the state store. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

const blockBody = section({
  reason: line(500),
  by: line(100).default('admin'),
  until: z.string().nullable().default(null),
});

async function block(
  deviceId: string,
  context: Context,
  { blocks, log, now, ...parts }: DevicesApiParts,
): Promise<Response> {
  const body: unknown = await context.req.json().catch(() => null);
  if (typeof body !== 'object' || body === null) {
    return problem(400, 'Bad Request', 'expected a JSON object');
  }
  const parsed = parseWith(blockBody)(body);
  if (!parsed.ok) {
    const errors = parsed.issues.map(({ path, message }) => ({
      detail: message,
      pointer: `/${path.join('/')}`,
    }));
    return problem(422, 'Unprocessable Content', 'this is no block', errors);
  }
  const { reason, by, until: end } = parsed.value;
  const since = now();
  const ends = end === null ? null : readMoment(end);
  if (ends !== null && !(ends.ok && ends.value > since)) {
    const detail = ends.ok ? 'expected a moment to come' : ends.message;
    return problem(422, 'Unprocessable Content', 'this is no block', [
      { detail, pointer: '/until' },
    ]);
  }
  const until = ends?.value ?? null;
  log.warn(
    {
      'event.name': 'zonegate.block',
      'device.id': deviceId,
      'zonegate.by': by,
      'zonegate.block.reason': reason,
      'zonegate.block.until': until === null ? null : new Date(until).toISOString(),
    },
    'device is blocked',
  );
  await blocks.set({ deviceId, reason, by, since, until });
  return Response.json(await rowFor(deviceId, { blocks, log, now, ...parts }));
}

async function unblock(deviceId: string, parts: DevicesApiParts): Promise<Response> {
  const was = parts.blocks.list.find(deviceId);
  if (!(await parts.blocks.lift(deviceId))) {
    return problem(404, 'Not Found', 'this device is not blocked');
  }
  const event = {
    'event.name': 'zonegate.block',
    'device.id': deviceId,
    'zonegate.block.reason': was?.reason ?? null,
  };
  parts.log.warn(event, 'device is blocked no longer');
  const row = await rowFor(deviceId, parts);
  return Response.json(row ?? deviceRow(deviceId, nobody, parts.policy().posture, parts.now()));
}

const nobody = { report: null, known: false, block: null } as const;
