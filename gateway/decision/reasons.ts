// Owns every reason to refuse or fail: its HTTP status, Proxy-Status error (RFC 9209) and what the person is told.

export type Stage =
  | 'request'
  | 'identity'
  | 'posture'
  | 'rules'
  | 'egress'
  | 'address'
  | 'limits'
  | 'dns'
  | 'dial'
  | 'origin'
  | 'gateway';

/** What one reason means to each reader: a proxy client (status, error), a person (sentence, fix). */
export interface ReasonRow {
  readonly status: number;
  /** RFC 9209 section 2.3 error type. A refusal by policy never says `destination_*`: a managed
   *  relay may answer that by going direct, which would be failing open. */
  readonly error: string;
  readonly sentence: string;
  readonly fix: string;
}

const denied = 'http_request_denied';

function row(status: number, error: string, sentence: string, fix: string): ReasonRow {
  return { status, error, sentence, fix };
}

const askAdmin = 'Ask your administrator, and give them the request id.';
const tryAgain = 'Try again in a moment; if it stays, tell your administrator.';

export const reasons = {
  'request.malformed': row(
    400,
    'http_request_error',
    'The request is not one a proxy can understand.',
    'Check the proxy settings of this program.',
  ),
  'request.not_proxied': row(
    404,
    'http_request_error',
    'This address is a tunnel gateway; it serves no pages of its own here.',
    'Use it as an HTTPS proxy, not as a web site.',
  ),
  'request.method': row(
    405,
    'http_request_error',
    'The gateway does not carry this method.',
    'Use another method, or CONNECT.',
  ),
  'request.scheme': row(
    501,
    'http_request_error',
    'Only http addresses can be asked for in clear; everything else goes through CONNECT.',
    'Let the program open a tunnel (CONNECT) for this address.',
  ),
  'request.protocol': row(
    501,
    'http_request_error',
    'The gateway does not carry this protocol.',
    'Let the program fall back to an ordinary tunnel (CONNECT).',
  ),
  'request.loop': row(
    502,
    'proxy_loop_detected',
    'The request has already passed through this gateway.',
    'Remove the proxy setting that points back at the gateway.',
  ),
  'request.abandoned': row(
    400,
    'http_request_error',
    'The program gave up before the connection was made.',
    'Try again.',
  ),

  'identity.no_certificate': row(
    403,
    denied,
    'This device showed no certificate.',
    'Enrol the device, or install its tunnel profile again.',
  ),
  'identity.untrusted': row(
    403,
    denied,
    'The certificate of this device comes from an authority the gateway does not trust.',
    'Enrol the device with your company, then install its tunnel profile.',
  ),
  'identity.not_yet_valid': row(
    403,
    denied,
    'The certificate of this device is not valid yet.',
    'Check the clock of the device.',
  ),
  'identity.expired': row(
    403,
    denied,
    'The certificate of this device has expired.',
    'Open the management app to renew it, or install the tunnel profile again.',
  ),
  'identity.wrong_purpose': row(
    403,
    denied,
    'The certificate of this device was not issued for signing in.',
    askAdmin,
  ),
  'identity.revoked': row(
    403,
    denied,
    'The certificate of this device has been revoked.',
    'Enrol the device again, or ask your administrator why it was revoked.',
  ),
  'identity.revocation_unknown': row(
    403,
    denied,
    'The gateway cannot tell whether the certificate of this device is still good.',
    'Nothing is wrong with your device; your administrator has to renew the revocation list.',
  ),
  'identity.not_listed': row(
    403,
    denied,
    'The certificate of this device is not on the list of admitted certificates.',
    askAdmin,
  ),
  'identity.unmapped': row(
    403,
    denied,
    'The certificate of this device does not say which device it belongs to.',
    askAdmin,
  ),

  'posture.blocked': row(
    403,
    denied,
    'Your company has blocked this device.',
    'If you have it in your hands and need it, ask your administrator.',
  ),
  'posture.unknown_device': row(
    403,
    denied,
    'Device management does not know this device.',
    'Enrol the device with your company.',
  ),
  'posture.unavailable': row(
    503,
    'proxy_internal_error',
    'The health of this device cannot be checked right now.',
    tryAgain,
  ),
  'posture.not_enrolled': row(
    403,
    denied,
    'This device is no longer enrolled in device management.',
    'Enrol the device again.',
  ),
  'posture.enrolling': row(
    403,
    denied,
    'This device has not finished enrolling.',
    'Open the management app and finish what it asks for.',
  ),
  'posture.wiped': row(
    403,
    denied,
    'This device is being erased by device management.',
    'Enrol the device again once it is erased, or ask your administrator why it is.',
  ),
  'posture.compromised': row(
    403,
    denied,
    'This device is reported as jailbroken, rooted or otherwise compromised.',
    'Restore the device to its original system and enrol it again.',
  ),
  'posture.non_compliant': row(
    403,
    denied,
    'This device does not meet a company requirement.',
    'Open the management app: it names the requirement and how to meet it.',
  ),
  'posture.in_grace_period': row(
    403,
    denied,
    'This device does not meet a company requirement yet.',
    'Open the management app: it names the requirement and how to meet it.',
  ),
  'posture.not_evaluated': row(
    403,
    denied,
    'Device management has not judged the health of this device.',
    'Open the management app and synchronise; if it stays, tell your administrator.',
  ),
  'posture.pending': row(
    403,
    denied,
    'The health check of this device is still running.',
    'Wait a few minutes, or open the management app and synchronise.',
  ),
  'posture.not_seen': row(
    403,
    denied,
    'This device has not reported to device management for too long.',
    'Open the management app and synchronise.',
  ),
  'posture.ownership': row(
    403,
    denied,
    'Devices of this kind of ownership may not connect.',
    'Use a device that belongs to your company; if this one does, tell your administrator.',
  ),
  'posture.os_outdated': row(
    403,
    denied,
    'The operating system of this device is too old.',
    'Update the system, then open the management app and synchronise.',
  ),
  'posture.os_unknown': row(
    403,
    denied,
    'Device management does not say which version of its system this device runs.',
    'Open the management app and synchronise; if it stays, tell your administrator.',
  ),
  'posture.groups': row(
    403,
    denied,
    'Devices of the groups this device is in may not connect.',
    askAdmin,
  ),
  'posture.tags': row(
    403,
    denied,
    'Devices with the tags this device has, or lacks, may not connect.',
    askAdmin,
  ),
  'posture.stale': row(
    503,
    'proxy_internal_error',
    'The last health report of this device is too old to be trusted.',
    tryAgain,
  ),

  'rules.no_rule_set': row(403, denied, 'No traffic rules are assigned to this device.', askAdmin),
  'rules.block': row(
    403,
    denied,
    'Company rules block this destination.',
    'If you need it for your work, ask your administrator.',
  ),
  'rules.bypass': row(
    403,
    denied,
    'This destination does not belong into the tunnel; the device should reach it directly.',
    'Install the tunnel profile again: it sends this destination direct.',
  ),
  'rules.changed': row(
    403,
    denied,
    'The rules for this destination have changed; the connection has to be made anew.',
    'Reload the page.',
  ),

  'egress.no_family': row(
    502,
    denied,
    'The gateway has no outgoing address of the kind this destination needs.',
    askAdmin,
  ),
  'egress.unavailable': row(
    503,
    'proxy_internal_error',
    'The outgoing address of the gateway is not usable right now.',
    tryAgain,
  ),
  'egress.changed': row(
    403,
    denied,
    'The outgoing address for this connection has been withdrawn.',
    'Reload the page.',
  ),

  'address.metadata': row(
    403,
    denied,
    'This destination is a cloud metadata service, which is never reachable from a device.',
    askAdmin,
  ),
  'address.special': row(
    403,
    denied,
    'This destination leads to a private or special-purpose network.',
    'If it is an internal application, ask your administrator to open it.',
  ),
  'address.self': row(
    403,
    denied,
    'This destination leads back to the gateway itself.',
    'Check the address, and the proxy settings of this program.',
  ),
  'address.blocked': row(
    403,
    denied,
    'Company rules block every address of this destination.',
    'If you need it for your work, ask your administrator.',
  ),

  'limits.device_tunnels': row(
    429,
    'connection_limit_reached',
    'This device has too many connections open at once.',
    'Close some programs and try again.',
  ),
  'limits.device_rate': row(
    429,
    'connection_limit_reached',
    'This device opens connections faster than it may.',
    'Wait a moment; if it stays, a program on the device may be stuck in a loop.',
  ),
  'limits.device_connections': row(
    429,
    'connection_limit_reached',
    'This device has too many connections to the gateway open at once.',
    'Close some programs and try again.',
  ),
  'limits.user_tunnels': row(
    429,
    'connection_limit_reached',
    'The devices of this user have too many connections open at once.',
    'Close some programs, on your other devices too, and try again.',
  ),
  'limits.user_rate': row(
    429,
    'connection_limit_reached',
    'The devices of this user open connections faster than they may.',
    'Wait a moment; if it stays, a program on one of the devices may be stuck in a loop.',
  ),
  'limits.rate': row(
    503,
    'connection_limit_reached',
    'The gateway is asked for more connections a second than it may open.',
    tryAgain,
  ),
  'limits.tunnels': row(
    503,
    'connection_limit_reached',
    'The gateway is carrying as many connections as it may.',
    tryAgain,
  ),
  'limits.draining': row(
    503,
    'connection_limit_reached',
    'This gateway is shutting down.',
    'Try again: another gateway will answer.',
  ),

  'dns.failed': row(
    502,
    'dns_error',
    'The name of this destination cannot be resolved.',
    'Check the address for typing errors.',
  ),
  'dns.timeout': row(
    504,
    'dns_timeout',
    'The name of this destination could not be resolved in time.',
    tryAgain,
  ),
  'dial.refused': row(
    502,
    'connection_refused',
    'The destination refused the connection.',
    'The service may be down; try again later.',
  ),
  'dial.unreachable': row(
    502,
    'destination_unavailable',
    'The destination cannot be reached.',
    'The service may be down; try again later.',
  ),
  'dial.timeout': row(
    504,
    'connection_timeout',
    'The destination did not answer in time.',
    'The service may be down; try again later.',
  ),
  'dial.upstream': row(
    502,
    'connection_terminated',
    'The next proxy on the way did not open the connection.',
    tryAgain,
  ),
  'origin.malformed': row(
    502,
    'http_protocol_error',
    'The destination gave an answer that is not proper HTTP.',
    'The service may be broken; tell its owner.',
  ),
  'origin.upgrade': row(
    502,
    'http_upgrade_failed',
    'The destination changed to a protocol that it was not asked for.',
    'The service may be broken; tell its owner.',
  ),
  'origin.incomplete': row(
    502,
    'http_response_incomplete',
    'The destination broke off in the middle of its answer.',
    'Try again.',
  ),
  'origin.timeout': row(
    504,
    'connection_read_timeout',
    'The destination accepted the connection but did not answer in time.',
    'The service may be busy; try again later.',
  ),
  'gateway.session_revoked': row(
    403,
    denied,
    'The company has ended the sessions of this device or of its user.',
    'Open the page again, and sign in when you are asked to.',
  ),
  'gateway.internal': row(
    500,
    'proxy_internal_error',
    'The gateway ran into a fault of its own.',
    tryAgain,
  ),
} as const satisfies Record<`${Stage}.${string}`, ReasonRow>;

/** A code from the table: the stage, a dot, the cause. */
export type Reason = keyof typeof reasons;

/** Reasons of a failing world rather than of a decision; the codes of `GatewayError`. */
export type FailureReason = Extract<
  Reason,
  | `${'dns' | 'dial' | 'origin' | 'gateway'}.${string}`
  | `egress.${'unavailable' | 'no_family'}`
  | 'request.abandoned'
>;

export const allReasons = Object.keys(reasons) as readonly Reason[];

export function stageOf(reason: Reason): Stage {
  return reason.slice(0, reason.indexOf('.')) as Stage;
}
