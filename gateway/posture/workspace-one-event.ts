// An event notification of Workspace ONE read into what it is about; nothing in it is believed as a fact.

import { canonicalDeviceId } from './source.ts';
import { isShortText, readFields, readId, textOf, type UemEvent } from './uem-event.ts';

type Kind =
  | 'compliance'
  | 'compromise'
  | 'enrollment'
  | 'unenrollment'
  | 'wipe'
  | 'attributes'
  | 'other';

const BY_ID: ReadonlyMap<number, Kind> = new Map([
  [178, 'compromise'],
  [148, 'enrollment'],
  [170, 'enrollment'],
  [39, 'unenrollment'],
  [25, 'wipe'],
  [642, 'attributes'],
]);

// The console writes the names joined and with spaces.
const BY_NAME: ReadonlyMap<string, Kind> = new Map([
  ['compliancestatuschanged', 'compliance'],
  ['compromisedstatuschanged', 'compromise'],
  ['mdmenrollmentcomplete', 'enrollment'],
  ['enrollmentcomplete', 'enrollment'],
  ['breakmdmconfirmed', 'unenrollment'],
  ['deviceenterprisewiperequested', 'wipe'],
  ['deviceoperatingsystemchanged', 'attributes'],
  ['deviceorganizationgroupchanged', 'attributes'],
  ['devicemcc', 'attributes'],
]);

export function parseWorkspaceOneEvent(text: string): UemEvent | string {
  const fields = readFields(text);
  if (typeof fields === 'string') return fields;
  const number = readId(fields.get('DeviceId'));
  const eventId = readId(fields.get('EventId'));
  if (number === undefined) return 'expected `DeviceId` to be a whole number';
  if (eventId === undefined) return 'expected `EventId` to be a whole number';
  for (const name of ['EventType', 'EventTime', 'SerialNumber', 'Udid']) {
    if (!isShortText(fields.get(name))) return `expected \`${name}\` to be a short text`;
  }
  const type = lettersOf(textOf(fields.get('EventType')) ?? '');
  const time = textOf(fields.get('EventTime'));
  const serial = textOf(fields.get('SerialNumber'));
  const udid = textOf(fields.get('Udid'));
  const device = {
    uemId: number > 0 ? String(number) : null,
    serial,
    deviceId: udid === null ? null : canonicalDeviceId(udid),
  };
  const isNamed = number > 0 || serial !== null || udid !== null;
  return {
    kind: BY_ID.get(eventId) ?? BY_NAME.get(type) ?? 'other',
    devices: isNamed ? [device] : [],
    key: number > 0 && time !== null ? JSON.stringify([number, eventId, type, time]) : null,
  };
}

function lettersOf(text: string): string {
  return text.toLowerCase().replaceAll(/\s/g, '');
}
