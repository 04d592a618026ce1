// An event notification of Workspace ONE read into what it is about; nothing in it is believed as a fact.

export interface UemEvent {
  readonly kind: UemEventKind;
  readonly uemId: string | null;
  readonly serial: string | null;
  readonly udid: string | null;
  // Names this event among repetitions; null when it carries no time to tell two of a kind apart.
  readonly key: string | null;
}

const UEM_EVENT_KINDS = [
  'compliance',
  'compromise',
  'enrollment',
  'unenrollment',
  'wipe',
  'attributes',
  'other',
] as const;
export type UemEventKind = (typeof UEM_EVENT_KINDS)[number];

const BY_ID: ReadonlyMap<number, UemEventKind> = new Map([
  [178, 'compromise'],
  [148, 'enrollment'],
  [170, 'enrollment'],
  [39, 'unenrollment'],
  [25, 'wipe'],
  [642, 'attributes'],
]);

// The console writes the names joined and with spaces.
const BY_NAME: ReadonlyMap<string, UemEventKind> = new Map([
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

const MAX_DEPTH = 4;
const MAX_TEXT = 256;

// The event, or the sentence saying what is wrong with it.
export function parseUemEvent(text: string): UemEvent | string {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'expected a JSON object';
  }
  if (isDeeperThan(value, MAX_DEPTH)) return `nested deeper than ${MAX_DEPTH}`;
  // A map of own properties: `__proto__` is a name like any other (threats A07).
  const fields = new Map(Object.entries(value));
  const deviceId = readId(fields.get('DeviceId'));
  const eventId = readId(fields.get('EventId'));
  if (deviceId === undefined) return 'expected `DeviceId` to be a whole number';
  if (eventId === undefined) return 'expected `EventId` to be a whole number';
  for (const name of ['EventType', 'EventTime', 'SerialNumber', 'Udid']) {
    if (!isShortText(fields.get(name))) return `expected \`${name}\` to be a short text`;
  }
  const type = lettersOf(textOf(fields.get('EventType')) ?? '');
  const time = textOf(fields.get('EventTime'));
  return {
    kind: BY_ID.get(eventId) ?? BY_NAME.get(type) ?? 'other',
    uemId: deviceId > 0 ? String(deviceId) : null,
    serial: textOf(fields.get('SerialNumber')),
    udid: textOf(fields.get('Udid')),
    key: deviceId > 0 && time !== null ? JSON.stringify([deviceId, eventId, type, time]) : null,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeperThan(inner, depth - 1));
}

// 0 for absent, undefined for unusable.
function readId(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return 0;
  const id = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 ? id : undefined;
}

function isShortText(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

// Byte arrays printed by their type's name have been seen in `Udid` and `MACAddress`.
function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value !== 'System.Byte[]' ? value : null;
}

function lettersOf(text: string): string {
  return text.toLowerCase().replaceAll(/\s/g, '');
}
