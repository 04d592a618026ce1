// A v1 device of Workspace ONE read strictly into a posture report.

import type { PostureReport } from '../decision/posture.ts';
import {
  lettersOf,
  optionalMoment,
  optionalText,
  requireText,
  unbelievable,
} from './device-fields.ts';
import { canonicalDeviceId } from './source.ts';
import { type Fields, fieldsOf } from './uem-answer.ts';

export interface ReadContext {
  readonly source: string;
  readonly deviceId: string;
  readonly fetchedAt: number;
}

// Every spelling the API versions use ends up here as lower-case letters. What is not listed is not enrolled
// and not compliant.
const ENROLLMENT: ReadonlyMap<string, PostureReport['enrollment']> = new Map([
  ['enrolled', 'enrolled'],
  ['userenrolled', 'enrolled'],
  ['registered', 'registered'],
  ['standalonecatalog', 'registered'],
  ['enrollmentinprogress', 'pending'],
  ['pendingagent', 'pending'],
  ['pendingenrollment', 'pending'],
  ['enterprisewipepending', 'wiped'],
  ['devicewipepending', 'wiped'],
  ['wipeinitiated', 'wiped'],
]);
const OWNERSHIP: ReadonlyMap<string, PostureReport['ownership']> = new Map([
  ['c', 'corporate'],
  ['corporate', 'corporate'],
  ['corporatededicated', 'corporate'],
  ['e', 'personal'],
  ['employee', 'personal'],
  ['employeeowned', 'personal'],
  ['s', 'shared'],
  ['shared', 'shared'],
  ['corporateshared', 'shared'],
]);
const COMPLIANCE: ReadonlyMap<string, PostureReport['compliance']> = new Map([
  ['compliant', 'compliant'],
  // No policy is assigned, or none has been looked at: the operator has to say what that is worth.
  ['notavailable', 'not_evaluated'],
  ['notapplicable', 'not_evaluated'],
  ['unknown', 'not_evaluated'],
  ['pendingcompliancecheck', 'pending'],
  ['pendingcompliancecheckforapolicy', 'pending'],
]);
const PLATFORM: ReadonlyMap<string, string> = new Map([
  ['apple', 'ios'],
  ['appleosx', 'macos'],
  ['android', 'android'],
  ['winrt', 'windows'],
  ['chromeos', 'chromeos'],
  ['linux', 'linux'],
]);

// The report, or a SourceError of kind `answer`: ambiguity refuses, and earns no grace (threats P06).
export function readDevice(device: Fields, context: ReadContext): PostureReport {
  const deviceId = canonicalDeviceId(requireText(device, 'Udid'));
  if (deviceId !== context.deviceId) throw unbelievable('is about another device');
  const group = optionalText(device, 'LocationGroupName');
  return {
    source: context.source,
    id: readNumber(device),
    deviceId,
    serial: optionalText(device, 'SerialNumber'),
    user: optionalText(device, 'UserName'),
    platform: PLATFORM.get(lettersOf(optionalText(device, 'Platform') ?? '')) ?? null,
    groups: group === null ? [] : [group],
    tags: [],
    ownership: OWNERSHIP.get(lettersOf(optionalText(device, 'Ownership') ?? '')) ?? null,
    osVersion: optionalText(device, 'OperatingSystem'),
    model: optionalText(device, 'Model'),
    enrollment: ENROLLMENT.get(lettersOf(requireText(device, 'EnrollmentStatus'))) ?? 'unenrolled',
    compliance:
      COMPLIANCE.get(lettersOf(requireText(device, 'ComplianceStatus'))) ?? 'non_compliant',
    compromised: readCompromised(device.get('CompromisedStatus')),
    lastSeen: optionalMoment(device, 'LastSeen'),
    fetchedAt: context.fetchedAt,
  };
}

function readNumber(device: Fields): string {
  const value = fieldsOf(device.get('Id'))?.get('Value');
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return String(value);
  throw unbelievable('has no usable `Id`');
}

// A boolean, or nothing yet. The text "false" is no boolean: whoever wrote it did not follow the API.
function readCompromised(value: unknown): PostureReport['compromised'] {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (value === null || value === undefined) return 'unknown';
  throw unbelievable('has no usable `CompromisedStatus`');
}
