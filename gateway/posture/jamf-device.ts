// A computer or mobile device of Jamf Pro read strictly into a posture report; smart groups say whether it is compliant.

import type { Ownership, PostureReport } from '../decision/posture.ts';
import {
  lettersOf,
  optionalMoment,
  optionalText,
  requireSection,
  requireText,
  unbelievable,
} from './device-fields.ts';
import { type JamfKind, jamfNumber } from './jamf-event.ts';
import { canonicalDeviceId } from './source.ts';
import { type Fields, fieldsOf } from './uem-answer.ts';

/** What the device ids of the certificates are in Jamf Pro. */
export type JamfIdentifier = 'udid' | 'serial';

export interface JamfReading {
  readonly source: string;
  readonly identifier: JamfIdentifier;
  /** The smart group whose members are compliant: Jamf Pro itself has no such state. */
  readonly compliantGroup: string;
  /** The smart group whose members are compromised; null: nobody says so of computers. */
  readonly compromisedGroup: string | null;
  readonly fetchedAt: number;
}

interface Group {
  readonly name: string;
  readonly isSmart: boolean;
}

/** Only these say who owns a device; anything else says nothing. */
const OWNERSHIP: ReadonlyMap<string, Ownership> = new Map([
  ['institutional', 'corporate'],
  ['accountdrivendeviceenrollment', 'corporate'],
  ['personal', 'personal'],
  ['personaldeviceprofile', 'personal'],
  ['userenrollment', 'personal'],
  ['accountdrivenuserenrollment', 'personal'],
]);

/** The report, or a SourceError of kind `answer`: ambiguity refuses, and earns no grace (threats P06). */
export function readJamfDevice(
  device: Fields,
  kind: JamfKind,
  reading: JamfReading,
): PostureReport {
  return kind === 'computer' ? readComputer(device, reading) : readMobile(device, reading);
}

function readComputer(device: Fields, reading: JamfReading): PostureReport {
  const general = requireSection(device, 'general');
  const hardware = requireSection(device, 'hardware');
  const system = fieldsOf(device.get('operatingSystem'));
  const groups = readGroups(device, { list: 'groupMemberships', smart: 'smartGroup' });
  const udid = requireText(device, 'udid');
  return {
    ...namesOf({ udid, serial: optionalText(hardware, 'serialNumber') }, reading),
    ...verdictsOf(groups, reading),
    id: jamfNumber('computer', requireText(device, 'id')),
    user: readUser(device),
    platform: 'macos',
    ownership: null,
    osVersion: system && optionalText(system, 'version'),
    model: optionalText(hardware, 'model'),
    enrollment: readManaged(requireSection(general, 'remoteManagement')),
    compromised: compromisedBy(groups, reading) ?? 'unknown',
    lastSeen: optionalMoment(general, 'lastContactTime'),
  };
}

function readMobile(device: Fields, reading: JamfReading): PostureReport {
  const general = requireSection(device, 'general');
  const hardware = requireSection(device, 'hardware');
  const groups = readGroups(device, { list: 'groups', smart: 'smart' });
  const udid = requireText(general, 'udid');
  const ownership = optionalText(general, 'deviceOwnershipType');
  return {
    ...namesOf({ udid, serial: optionalText(hardware, 'serialNumber') }, reading),
    ...verdictsOf(groups, reading),
    id: jamfNumber('mobile', requireText(device, 'mobileDeviceId')),
    user: readUser(device),
    platform: lettersOf(optionalText(device, 'deviceType') ?? '') === 'ios' ? 'ios' : null,
    ownership: OWNERSHIP.get(lettersOf(ownership ?? '')) ?? null,
    osVersion: optionalText(general, 'osVersion'),
    model: optionalText(hardware, 'model'),
    enrollment: readManaged(general),
    compromised: compromisedBy(groups, reading) ?? readJailbreak(device),
    // Mobile devices have no other moment in this answer.
    lastSeen: optionalMoment(general, 'lastInventoryUpdateDate'),
  };
}

function namesOf(
  { udid, serial }: { readonly udid: string; readonly serial: string | null },
  { source, identifier, fetchedAt }: JamfReading,
) {
  const deviceId = canonicalDeviceId(identifier === 'udid' ? udid : (serial ?? ''));
  if (deviceId === null) throw unbelievable(`has no usable ${identifier}`);
  return { source, fetchedAt, deviceId, serial };
}

function verdictsOf(groups: readonly Group[], { compliantGroup }: JamfReading) {
  return {
    groups: groups.filter(({ isSmart }) => !isSmart).map(({ name }) => name),
    tags: groups.filter(({ isSmart }) => isSmart).map(({ name }) => name),
    compliance: isMember(groups, compliantGroup)
      ? ('compliant' as const)
      : ('non_compliant' as const),
  };
}

function compromisedBy(
  groups: readonly Group[],
  { compromisedGroup }: JamfReading,
): 'yes' | 'no' | null {
  if (compromisedGroup === null) return null;
  return isMember(groups, compromisedGroup) ? 'yes' : 'no';
}

/** A static group of the same name is what somebody once clicked, not what is the case. */
function isMember(groups: readonly Group[], name: string): boolean {
  return groups.some((group) => group.isSmart && group.name === name);
}

function readGroups(
  device: Fields,
  names: { readonly list: string; readonly smart: string },
): readonly Group[] {
  const list = device.get(names.list);
  // An account that may not read groups gets none: that is no verdict.
  if (!Array.isArray(list)) throw unbelievable(`has no usable \`${names.list}\``);
  return list.map((item): Group => {
    const group = fieldsOf(item);
    const isSmart = group?.get(names.smart);
    if (group === null || typeof isSmart !== 'boolean')
      throw unbelievable(`has no usable \`${names.list}\``);
    return { name: requireText(group, 'groupName'), isSmart };
  });
}

function readManaged(section: Fields): PostureReport['enrollment'] {
  const managed = section.get('managed');
  if (typeof managed !== 'boolean') throw unbelievable('has no usable `managed`');
  return managed ? 'enrolled' : 'unenrolled';
}

function readJailbreak(device: Fields): PostureReport['compromised'] {
  const value = fieldsOf(device.get('security'))?.get('jailBreakDetected');
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (value === null || value === undefined) return 'unknown';
  throw unbelievable('has no usable `jailBreakDetected`');
}

function readUser(device: Fields): string | null {
  const location = fieldsOf(device.get('userAndLocation'));
  return location && optionalText(location, 'username');
}
