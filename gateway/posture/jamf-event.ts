// A webhook of Jamf Pro read into the devices it is about; nothing in it is believed as a fact.

import type { DeviceHint } from './device-index.ts';
import { canonicalDeviceId } from './source.ts';
import { type Fields, fieldsOf } from './uem-answer.ts';
import { isShortText, readFields, readId, textOf, type UemEvent } from './uem-event.ts';

/** Computers and mobile devices are counted apart. */
export type JamfKind = 'computer' | 'mobile';

/** The number of a device among all of its Jamf Pro. */
export function jamfNumber(kind: JamfKind, id: string): string {
  return `${kind}-${id}`;
}

// A group's change may list every device of it; more than these wait for the sweep.
const MAX_DEVICES = 1_000;

export function parseJamfEvent(text: string): UemEvent | string {
  const fields = readFields(text);
  if (typeof fields === 'string') return fields;
  const webhook = fieldsOf(fields.get('webhook'));
  const event = fieldsOf(fields.get('event'));
  // What tells the console that somebody is there may be empty.
  if (webhook === null || event === null)
    return fields.size === 0
      ? { kind: 'test', devices: [], key: null }
      : 'expected `webhook` and `event` to be objects';
  const name = webhook.get('webhookEvent');
  if (typeof name !== 'string' || !isShortText(name))
    return 'expected `webhook.webhookEvent` to be a short text';
  const kind = kindOf(name);
  const devices = kind === null ? [] : devicesOf(event, kind);
  if (typeof devices === 'string') return devices;
  return { kind: name, devices, key: keyOf(name, webhook, { devices, event }) };
}

function kindOf(name: string): JamfKind | null {
  if (name.includes('MobileDevice')) return 'mobile';
  return name.includes('Computer') ? 'computer' : null;
}

function devicesOf(event: Fields, kind: JamfKind): readonly DeviceHint[] | string {
  const added = event.get('groupAddedDevicesIds');
  const removed = event.get('groupRemovedDevicesIds');
  if (added === undefined && removed === undefined) {
    // A check-in and the end of a policy have the computer one level deeper; some versions have not.
    const hint = hintOf(fieldsOf(event.get('computer')) ?? event, kind);
    return typeof hint === 'string' ? hint : hint === null ? [] : [hint];
  }
  const ids = [added ?? [], removed ?? []].flat();
  const numbers = ids.slice(0, MAX_DEVICES).map(readId);
  if (numbers.some((id) => id === undefined || id === 0))
    return 'expected the devices of a group to be whole numbers';
  return numbers.map((id) => ({ uemId: jamfNumber(kind, String(id)) }));
}

function hintOf(device: Fields, kind: JamfKind): DeviceHint | string | null {
  const id = readId(device.get('jssID'));
  if (id === undefined) return 'expected `jssID` to be a whole number';
  for (const name of ['serialNumber', 'udid']) {
    if (!isShortText(device.get(name))) return `expected \`${name}\` to be a short text`;
  }
  const serial = textOf(device.get('serialNumber'));
  const udid = textOf(device.get('udid'));
  if (id === 0 && serial === null && udid === null) return null;
  return {
    uemId: id === 0 ? null : jamfNumber(kind, String(id)),
    serial,
    deviceId: udid === null ? null : canonicalDeviceId(udid),
  };
}

function keyOf(
  name: string,
  webhook: Fields,
  { devices, event }: { readonly devices: readonly DeviceHint[]; readonly event: Fields },
): string | null {
  const time = webhook.get('eventTimestamp');
  if (typeof time !== 'number' || !Number.isFinite(time)) return null;
  return JSON.stringify([name, time, event.get('jssid') ?? null, devices]);
}
