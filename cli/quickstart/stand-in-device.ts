// The devices of the stand-in UEM, in the shapes that Workspace ONE gives them.

export interface StandInDevice {
  readonly udid: string;
  readonly id: number;
  readonly serial: string;
  readonly user: string;
  readonly name: string;
  readonly platform: string; // as the UEM spells it: Apple, AppleOsX, Android, WinRT, ChromeOS
  readonly group: string;
  readonly enrollment: string;
  readonly compliance: string;
  readonly compromised: boolean;
  readonly lastSeen: number | null; // null: at the moment of asking
}

export type DeviceChange = Partial<Omit<StandInDevice, 'udid' | 'id'>>;

// A v1 device: dates without a zone, a number wrapped in an object, and fields nobody asked for.
export function toV1Device(device: StandInDevice, now: number): Record<string, unknown> {
  const group = { Id: { Value: 570 }, Name: device.group, Uuid: uuidOf(570) };
  return {
    Id: { Value: device.id },
    Uuid: uuidOf(device.id),
    Udid: device.udid,
    SerialNumber: device.serial,
    MacAddress: '',
    AssetNumber: device.udid,
    DeviceFriendlyName: device.name,
    UserName: device.user,
    UserEmailAddress: `${device.user}@example.com`,
    LocationGroupId: group,
    LocationGroupName: device.group,
    Ownership: 'C',
    Platform: device.platform,
    Model: device.platform === 'Apple' ? 'iPhone' : 'Mac',
    OperatingSystem: '26.1.0',
    ManagedBy: 1,
    EnrollmentStatus: device.enrollment,
    ComplianceStatus: device.compliance,
    CompromisedStatus: device.compromised,
    LastSeen: new Date(device.lastSeen ?? now).toISOString().slice(0, -1),
    ComplianceSummary: {
      DeviceCompliance: [
        { CompliantStatus: device.compliance === 'Compliant', PolicyName: 'Passcode' },
      ],
    },
  };
}

// The event notification for a change; null when nothing changed that the UEM would speak of.
export function toEvent(
  before: StandInDevice,
  after: StandInDevice,
  now: number,
): Record<string, unknown> | null {
  const type = eventTypeOf(before, after);
  if (type === null) return null;
  const isGone = type.EventType === 'BreakMDMConfirmed';
  return {
    ...type,
    DeviceId: after.id,
    DeviceFriendlyName: after.name,
    // An unenrolled device has no user any more.
    EnrollmentUserName: isGone ? '' : after.user,
    EnrollmentEmailAddress: isGone ? '' : `${after.user}@example.com`,
    EventTime: `/Date(${now})/`,
    EnrollmentStatus: after.enrollment,
    ComplianceStatus: after.compliance,
    CompromisedStatus: '',
    CompromisedTimeStamp: `/Date(${now})/`,
    PhoneNumber: '',
    // Seen in the field, and the reason why nobody should look a device up by this.
    Udid: 'System.Byte[]',
    SerialNumber: after.serial,
    MACAddress: 'System.Byte[]',
  };
}

function eventTypeOf(before: StandInDevice, after: StandInDevice) {
  if (before.enrollment !== after.enrollment) {
    return after.enrollment === 'Enrolled'
      ? { EventId: 148, EventType: 'MDM Enrollment Complete' }
      : { EventId: 39, EventType: 'BreakMDMConfirmed' };
  }
  if (before.compromised !== after.compromised) {
    return { EventId: 178, EventType: 'CompromisedStatusChanged' };
  }
  if (before.compliance !== after.compliance) return { EventType: 'Compliance Status Changed' };
  if (before.group !== after.group) return { EventType: 'Device Organization Group Changed' };
  return null;
}

function uuidOf(id: number): string {
  return `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`;
}
