// A managedDevice of Microsoft Graph read strictly into a posture report.

import type { PostureReport } from '../decision/posture.ts';
import {
  lettersOf,
  optionalMoment,
  optionalText,
  requireText,
  unbelievable,
} from './device-fields.ts';
import { canonicalDeviceId } from './source.ts';
import type { Fields } from './uem-answer.ts';
import type { ReadContext } from './workspace-one-device.ts';

// Which property of a managedDevice is the device id of the certificates.
export const intuneIds = ['azureADDeviceId', 'id', 'serialNumber'] as const;
export type IntuneId = (typeof intuneIds)[number];

// All that is asked for: what is not read cannot leak.
export const SELECTED = [
  'id',
  'azureADDeviceId',
  'serialNumber',
  'userPrincipalName',
  'operatingSystem',
  'osVersion',
  'model',
  'managedDeviceOwnerType',
  'managementAgent',
  'deviceRegistrationState',
  'complianceState',
  'complianceGracePeriodExpirationDateTime',
  'jailBroken',
  'lastSyncDateTime',
  'deviceCategoryDisplayName',
] as const;

// What is not listed is not compliant: `conflict` and `error` are requirements that nobody could judge.
const COMPLIANCE: ReadonlyMap<string, PostureReport['compliance']> = new Map([
  ['compliant', 'compliant'],
  ['ingraceperiod', 'in_grace_period'],
  ['unknown', 'not_evaluated'],
  // Judged by Configuration Manager, which this API does not speak for.
  ['configmanager', 'not_evaluated'],
]);
// Of the registration in Entra ID. Devices of platforms that do not register there say `notRegistered`, and are managed.
const REGISTRATION: ReadonlyMap<string, PostureReport['enrollment']> = new Map([
  ['revoked', 'unenrolled'],
  ['keyconflict', 'unenrolled'],
  ['certificatereset', 'pending'],
  ['approvalpending', 'pending'],
  ['notregisteredpendingenrollment', 'pending'],
]);
// Exchange ActiveSync alone manages a mailbox, not a device.
const UNMANAGED = new Set(['eas', 'unknown', '']);
const PLATFORM: ReadonlyMap<string, string> = new Map([
  ['ios', 'ios'],
  ['ipados', 'ios'],
  ['macos', 'macos'],
  ['macosx', 'macos'],
  ['android', 'android'],
  ['androidforwork', 'android'],
  ['androidenterprise', 'android'],
  ['windows', 'windows'],
  ['chromeos', 'chromeos'],
  ['linux', 'linux'],
]);
const OWNERSHIP: ReadonlyMap<string, PostureReport['ownership']> = new Map([
  ['company', 'corporate'],
  ['personal', 'personal'],
]);
const JAILBROKEN: ReadonlyMap<string, PostureReport['compromised']> = new Map([
  ['true', 'yes'],
  ['false', 'no'],
  ['unknown', 'unknown'],
  ['', 'unknown'],
]);
// Every device that is not registered has this one.
const NO_ID = '00000000-0000-0000-0000-000000000000';

// The device id a managedDevice answers to; null for one that has none.
export function deviceIdOf(device: Fields, idIs: IntuneId): string | null {
  const value = device.get(idIs);
  return typeof value === 'string' && value !== NO_ID ? canonicalDeviceId(value) : null;
}

// The report, or a SourceError of kind `answer`: ambiguity refuses, and earns no grace (threats P06).
export function readManagedDevice(
  device: Fields,
  idIs: IntuneId,
  context: ReadContext,
): PostureReport {
  const { source, deviceId, fetchedAt } = context;
  if (deviceIdOf(device, idIs) !== deviceId) throw unbelievable('is about another device');
  const category = optionalText(device, 'deviceCategoryDisplayName');
  return {
    source,
    id: requireText(device, 'id'),
    deviceId,
    serial: optionalText(device, 'serialNumber'),
    user: optionalText(device, 'userPrincipalName'),
    platform: readWord(device, 'operatingSystem', PLATFORM) ?? null,
    groups: category === null ? [] : [category],
    tags: [],
    ownership: readWord(device, 'managedDeviceOwnerType', OWNERSHIP) ?? null,
    osVersion: optionalText(device, 'osVersion'),
    model: optionalText(device, 'model'),
    enrollment: readEnrollment(device),
    compliance: readCompliance(device, fetchedAt),
    compromised: readCompromised(device),
    lastSeen: optionalMoment(device, 'lastSyncDateTime'),
    fetchedAt,
  };
}

function readWord<T>(device: Fields, name: string, words: ReadonlyMap<string, T>): T | undefined {
  return words.get(lettersOf(optionalText(device, name) ?? ''));
}

function readEnrollment(device: Fields): PostureReport['enrollment'] {
  const registration = readWord(device, 'deviceRegistrationState', REGISTRATION);
  if (registration !== undefined) return registration;
  return UNMANAGED.has(lettersOf(optionalText(device, 'managementAgent') ?? ''))
    ? 'registered'
    : 'enrolled';
}

function readCompliance(device: Fields, now: number): PostureReport['compliance'] {
  const word = lettersOf(requireText(device, 'complianceState'));
  const compliance = COMPLIANCE.get(word) ?? 'non_compliant';
  const endsAt = optionalMoment(device, 'complianceGracePeriodExpirationDateTime');
  // Intune says so until it judges the device again, which may be long after the end.
  const isOver = compliance === 'in_grace_period' && endsAt !== null && endsAt <= now;
  return isOver ? 'non_compliant' : compliance;
}

// A text: `True`, `False` or `Unknown`.
function readCompromised(device: Fields): PostureReport['compromised'] {
  const compromised = readWord(device, 'jailBroken', JAILBROKEN);
  if (compromised === undefined) throw unbelievable('has no usable `jailBroken`');
  return compromised;
}
