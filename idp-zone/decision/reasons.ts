// Every reason to deny a sign-on: the HTTP status of its page and the sentence a person reads. Log, metrics, pages and
// token errors all read this table; a new reason is one new row.

interface Row {
  readonly status: number;
  readonly sentence: string; // ASCII without quotes or backslashes: it also travels in error_description (RFC 6749 5.2)
}

export const reasons = {
  'sign-on.blocked': {
    status: 403,
    sentence: 'Nobody can sign in from the address you come from.',
  },
  'sign-on.outside_zone': {
    status: 403,
    sentence: 'You can sign in only through the company network. Turn the tunnel on and try again.',
  },
  'sign-on.zone_unknown': {
    status: 503,
    sentence:
      'We cannot tell whether you are on the company network. Try again in a minute; if it stays, tell your administrator.',
  },
  'sign-on.device': {
    status: 403,
    sentence:
      'You can sign in only with a company device that is managed and healthy. Use such a device and try again.',
  },
  'sign-on.person_unknown': {
    status: 401,
    sentence: 'We cannot tell who you are. Sign in and try again.',
  },
  'sign-on.rule': {
    status: 403,
    sentence: 'A sign-on rule of your company does not let you in here.',
  },
  'sign-on.no_rule': {
    status: 403,
    sentence: 'No sign-on rule of your company lets you in here.',
  },
  'sign-on.credentials': {
    status: 403,
    sentence: 'The user name or the password is not right.',
  },
  'sign-on.too_many_attempts': {
    status: 429,
    sentence: 'There were too many attempts. Wait a minute and try again.',
  },
  'sign-on.proxy': {
    status: 403,
    sentence: 'The server that asks for you is not declared as one that may ask.',
  },
  'sign-on.no_client': {
    status: 403,
    sentence: 'The server that asks for you does not say what address you come from.',
  },
  'sign-on.application': {
    status: 403,
    sentence: 'The application you ask for is not one that is known here.',
  },
} as const satisfies Record<string, Row>;

export type Reason = keyof typeof reasons;

/** The ones that are given before a policy is asked: at the password, and to a proxy that asks for somebody. */
export const earlyReasons = [
  'sign-on.credentials',
  'sign-on.too_many_attempts',
  'sign-on.proxy',
  'sign-on.no_client',
  'sign-on.application',
] as const satisfies readonly Reason[];

export type PolicyReason = Exclude<Reason, (typeof earlyReasons)[number]>;

export const reasonCodes = Object.keys(reasons) as readonly Reason[];
