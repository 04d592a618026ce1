// What each configuration key is for, in a sentence; scripts/docs/configuration.ts joins them with the schemas.

/** Keys explained in one place and used in several. */
export const folded: Readonly<Record<string, string>> = {
  'identity.deviceId': 'a certificate field',
  'identity.user': 'a certificate field',
  'identity.serial': 'a certificate field',
  'identity.app': 'a certificate field, `listener: true` or `header:` and its name',
  'posture.whenUnavailable': '`deny`, or `graceFor:` and a duration',
  'idp.trustedProxies': 'a list, each an address, a block or a span',
  'posture.sources': 'a list, each a source as below `posture.source`',
  'zones[].gateways': 'a list or text: addresses, blocks, spans',
  'zones[].proxies': 'a list or text: addresses, blocks, spans',
  'idp.proxyProtocol.peers': 'a list, each an address, a block or a span',
  'idp.authz.peers': 'a list, each an address, a block or a span',
  'exceptions[].until': 'a moment',
  'tests[].at': 'a moment',
  'tests[].address': 'an IPv4 or IPv6 address',
};

export const zonegateMeanings: Readonly<Record<string, string>> = {
  name: 'what this gateway is called in `Via` and `Proxy-Status`; give each gateway its own',
  help: 'where a refused person finds help: a link on the page and in the answer',

  'listeners.device':
    'where devices connect, with TLS and their certificate; offers HTTP/2 and HTTP/1.1',
  'listeners.deviceHttp1':
    'the same with HTTP/1.1 only, for clients that break on a proxy that offers HTTP/2 (Go, undici); none by default',

  'listeners.pac':
    'where PAC files are fetched without a certificate, at the addresses that `profiles.pacSecret` makes; nothing else is served there; none by default',

  'listeners.apps':
    'listeners for one application each, where a per-app profile can send its traffic; believed with `identity.app: { listener: true }`',
  'listeners.apps[].listen': 'like `listeners.device`',
  'listeners.apps[].app':
    'which application connects there: its name in the rule file, or one of its identifiers',

  'tls.certificate': 'the certificate that devices see, leaf first, then intermediates; PEM',
  'tls.key': 'its private key; PEM',

  'identity.authorities': 'who may issue device certificates: PEM files of roots and intermediates',
  'identity.revocation':
    'revocation lists (CRL, PEM or DER), one in force for every authority; `off` does without',
  'identity.deviceId': 'which field holds the UDID; a certificate without it is refused',
  'identity.user': 'which field holds the user; for the log',
  'identity.serial': 'which field holds the serial number',
  'identity.app':
    'what is believed about the application of a connection: the field of a certificate issued to it, the listener it comes to, or a header field that its profile sets (any program on the device can set it too; it is never forwarded)',
  'identity.allowedFingerprints': 'if given, only these certificates are admitted',
  'identity.blockedFingerprints': 'certificates that are refused, whoever issued them',

  'posture.sources':
    'several, each with the keys of `posture.source` and a `name` of its own; the first that knows a device speaks for it',
  'posture.source.whileDown':
    'of several sources: whether others may speak while this one does not answer; `next` lets them, but for the devices it was the last to know',
  'posture.source.kind': 'what is asked',
  'posture.source.name':
    'names the source in reports, metrics and the path of its webhook; its kind when left out, `uem` for Workspace ONE',
  'posture.source.tenant': 'the directory, by its id or one of its domains',
  'posture.source.login': 'the sign-in service; national clouds have their own',
  'posture.source.url':
    'the API host of the UEM, for example `https://as123.awmdm.com`; for Intune Microsoft Graph, `https://graph.microsoft.com` when left out',
  'posture.source.auth.kind': 'how to sign in to the UEM',
  'posture.source.auth.tokenUrl': 'the token endpoint of the OAuth client',
  'posture.source.auth.clientId': 'the OAuth client; give it read access to devices, nothing else',
  'posture.source.auth.clientSecret': 'its secret',
  'posture.source.auth.username': 'an API account that may read devices',
  'posture.source.auth.password': 'its password',
  'posture.source.tenantCode': 'the API key, sent as `aw-tenant-code`',
  'posture.source.authority': "a PEM file to trust for the UEM instead of the system's authorities",
  'posture.source.webhook.username':
    'like `posture.webhook`, for this source alone: with several, none can speak for another',
  'posture.source.webhook.password': 'its password',
  'posture.source.webhook.token': 'or a bearer token',
  'posture.source.tokenUrl': 'the token endpoint; left out, `/api/oauth/token` at `url`',
  'posture.source.clientId':
    'the API client, or app registration: see the page on posture for what it needs, and nothing else',
  'posture.source.clientSecret': 'its secret',
  'posture.source.inventories': 'which of its inventories are asked, in this order',
  'posture.source.identifier': 'what the device ids of the certificates are there',
  'posture.source.compliantGroup':
    'the smart group whose members are compliant, of the same name among computers and among mobile devices',
  'posture.source.compromisedGroup':
    'the smart group whose members are compromised; left out, nobody says so of computers, and of mobile devices their jailbreak detection',
  'posture.source.file': 'the inventory, see below; it is watched',
  'posture.webhook.username':
    'HTTP Basic user of the event notifications at `/webhooks/<kind>/<source name>` of the admin server',
  'posture.webhook.password': 'its password',
  'posture.webhook.token': 'or a bearer token, for UEMs that can send one',
  'posture.signals':
    'who may push security events (CAEP): see [posture.md](posture.md#security-events-caep)',
  'posture.signals[].name':
    'names the sender in logs, in metrics and in the path `/webhooks/signals/<name>` of the admin server',
  'posture.signals[].issuer': 'the `iss` of its tokens',
  'posture.signals[].audience': 'the `aud` it has for this gateway; a token must name one of them',
  'posture.signals[].keys.url':
    'its `jwks_uri`; fetched, kept and asked again when a token names a key that is not there',
  'posture.signals[].keys.file': 'or a file with its keys, a JWK set; it is watched',
  'posture.signals[].authority':
    "a PEM file to trust for `keys.url` instead of the system's authorities",
  'posture.signals[].algorithms': 'the signatures that are taken',
  'posture.signals[].token':
    'what it must send as `Authorization: Bearer …`, beside the signature of every token',
  'posture.signals[].maxAge': 'how long after it was issued a token is taken',
  'posture.signals[].subjects':
    'how its subject identifiers name devices and users: the first that leads to a device counts',
  'posture.signals[].subjects[].format': 'of the identifier, as RFC 9493 calls it',
  'posture.signals[].subjects[].issuer':
    'of `iss_sub`: the `iss` it must have; left out, the issuer of the tokens',
  'posture.signals[].subjects[].prefix': 'what stands before the name, for example `urn:udid:`',
  'posture.signals[].subjects[].names':
    'what the text is: the device id of the certificates, a serial number, the number of the device in its UEM, or a user',
  'posture.signals[].subjects[].source':
    'of `number`: the name of the source that counts so; left out, the first one',
  'posture.signals[].whenSilent':
    'what follows when a device is said to be non-compliant and its source does not answer: `refuse` ends the grace of its last report, `grace` leaves it',
  'posture.signals[].blockFor':
    'how long a device is [blocked](operating.md) after its session was revoked; left out, it may connect again at once, and other gateways are not told',
  'posture.maxEvents':
    'how many event notifications and security events a second are taken, together; ten times as many at once',
  'posture.maxReportAge':
    'an older report is asked for again, and refused if the source answers with an old one',
  'posture.recheck': 'how often devices with open tunnels are judged again',
  'posture.sweep':
    'how often sources that keep account of changes are asked for them, for devices that are remembered: events get lost',
  'posture.whenUnavailable':
    'while the source does not answer: `deny`, or `graceFor`, how long a good report counts then',
  'posture.timeout': 'how long one question to the source may take',
  'posture.admit.enrollment': 'enrolment states that pass',
  'posture.admit.compromise':
    'which verdicts about jailbreak and root pass; `unknown` is a device nobody has looked at',
  'posture.admit.compliance':
    "compliance states that pass; `not_evaluated` is Workspace ONE's `NotAvailable`, `pending` its `Pending…`",
  'posture.admit.seenWithin': 'the device must have talked to its UEM since',
  'posture.admit.ownership': 'whose devices pass; one whose owner is not known does not',
  'posture.admit.osVersion.<name>':
    'the lowest version that passes, in quotes, by platform: `ios`, `macos`, `android`, `windows`, `chromeos`, `linux`; others have none',
  'posture.admit.groups.anyOf': 'the device must be in one of these',
  'posture.admit.groups.allOf': 'in all of these',
  'posture.admit.groups.noneOf': 'and in none of these',
  'posture.admit.tags.anyOf': 'the same for tags and smart groups: one of these',
  'posture.admit.tags.allOf': 'all of these',
  'posture.admit.tags.noneOf': 'none of these',
  'posture.reportOnly':
    'checks, by the names they have in `admit`, that refuse nobody; log and metrics say what they would have refused',
  'posture.exceptions': 'devices that pass some checks for a while',
  'posture.exceptions[].device': 'its UDID',
  'posture.exceptions[].checks': 'which checks, by the names they have in `admit`',
  'posture.exceptions[].reason': 'why; it stands in the log',
  'posture.exceptions[].until':
    'the moment it ends, for example `2026-12-31T00:00:00Z`; its tunnels are judged anew then',
  'posture.maxDevices': 'how many devices are remembered',

  rules: 'the device traffic rules, [dtr.yaml](../dtr-rules/README.md)',

  'egress.default': 'the pool of rules that name none',
  'egress.pools.<name>':
    'the fixed addresses tunnels leave from, all of this machine; this is the zone in the IdP',
  'egress.bypass':
    'addresses, none of them in a pool, for BYPASS traffic that arrives all the same; left out: it is refused',

  'upstreams.<name>.servers':
    'instead of one server several, tried in this order; one that fails is left alone for a while, see [Upstream proxies](operating.md#upstream-proxies)',
  'upstreams.<name>.servers[].host': 'as for a single server',
  'upstreams.<name>.servers[].port': 'as for a single server',
  'upstreams.<name>.servers[].username': 'as for a single server',
  'upstreams.<name>.servers[].password': 'as for a single server',
  'upstreams.<name>.servers[].tls': 'as for a single server',
  'upstreams.<name>.servers[].authority': 'as for a single server',
  'upstreams.<name>.host': 'a proxy that rules with PROXY may name',
  'upstreams.<name>.port': 'its port; it is asked with CONNECT',
  'upstreams.<name>.username': 'HTTP Basic user, if it wants one',
  'upstreams.<name>.password': 'its password',
  'upstreams.<name>.tls':
    'whether it is spoken to in TLS; its certificate has to be that of `host`',
  'upstreams.<name>.authority':
    'certificates of the authorities it may have its certificate from, as PEM; left out: those Node trusts',

  profiles: 'what `zonegate profile` makes [profiles for devices](profiles.md) from',
  'profiles.gateway':
    "where devices reach the gateway, by a name in its certificate: `tls.certificate`'s",
  'profiles.gatewayHttp1':
    'the same for `listeners.deviceHttp1`; the environment variables name it',
  'profiles.failMode':
    '`closed`: what belongs into the tunnel fails without the gateway; `open`: it goes direct then, except what is blocked',
  'profiles.pacUrl': 'where the PAC file is served; left out: it is a part of the profile',
  'profiles.pacSecret':
    'what the addresses of PAC files are made with that are fetched without a certificate; left out: there are none',
  'profiles.pacServer':
    'where devices reach `listeners.pac`; left out: the host of `profiles.gateway`, with the port of that listener',
  'profiles.issuer':
    'common name of who issues the device certificates, so that browsers offer no other certificate',
  'profiles.authority':
    "PEM file of who issued the gateway's certificate, for devices that do not trust it yet",
  'profiles.agent':
    'where an agent listens on the devices, for programs that cannot speak TLS to a proxy',
  'profiles.apple.identifier':
    'what Apple devices and the MDM know the profile by; left out: the name of the gateway, reversed, and `.zonegate`',
  'profiles.apple.visibleName': 'what people read on Apple devices',
  'profiles.apple.acme':
    'how Apple devices come by their certificate: from an ACME server, with a key bound to the device',
  'profiles.apple.acme.directoryUrl': 'the directory of the ACME server',
  'profiles.apple.acme.clientIdentifier':
    'what the server knows the device by; may be a variable that the MDM fills in, `$SERIALNUMBER` for example',
  'profiles.apple.acme.subject': 'the subject to ask for; the MDM fills in variables',
  'profiles.apple.acme.keyType':
    'the kind of key; one bound to the hardware has to be `ECSECPrimeRandom`',
  'profiles.apple.acme.keySize': 'its size in bits; 256 or 384 for one bound to the hardware',
  'profiles.apple.acme.hardwareBound':
    'whether the key is made in the Secure Enclave and cannot leave it',
  'profiles.apple.acme.attest': 'whether the device proves to the server what it is',
  'profiles.apple.scep': 'the same from a SCEP server',
  'profiles.apple.scep.url': 'where it is',
  'profiles.apple.scep.name': 'what the server calls its authority, where it has more than one',
  'profiles.apple.scep.subject': 'the subject to ask for; the MDM fills in variables',
  'profiles.apple.scep.challenge': 'the shared secret; it becomes a part of the profile',
  'profiles.apple.scep.keySize': 'size of the RSA key in bits',
  'profiles.apple.scep.keyUsage': 'what the key is for: 1 signing, 4 encryption, 5 both',
  'profiles.apple.signing':
    'what configuration profiles are signed with; left out: they are not, unless `--sign-certificate` says so',
  'profiles.apple.signing.certificate':
    'a certificate that devices trust, PEM, the own one first; authorities above it may follow',
  'profiles.apple.signing.key': 'its private key, PEM without a passphrase',
  'profiles.apple.signing.chain': 'more authorities between it and one that devices have, PEM',
  'profiles.deviceFiles.certificate': "where on the devices the device's certificate is, PEM",
  'profiles.deviceFiles.key': 'and its private key',
  'profiles.deviceFiles.authority': 'and a copy of `profiles.authority`',

  'dns.servers':
    'resolvers; the one that answered last is asked first, the next when it fails or is silent; left out: those of the system',
  'dns.zones': 'names that other servers know (split horizon)',
  'dns.zones[].suffix': 'it and every name below it, of zones one inside the other the inner one',
  'dns.zones[].servers': 'who is asked about them, and nobody else',
  'dns.hosts.<name>': "names answered from here; the system's hosts file is not read",
  'dns.timeout':
    'how long an answer may take: all servers, tries, both families, and the wait for a turn',
  'dns.minTtl': 'answers are kept as long as they say, but at least this long',
  'dns.maxTtl': 'and at most this long',
  'dns.negativeTtl': 'how long a name without addresses, or that does not exist, stays so',
  'dns.failureTtl':
    'how long a name is not asked about again when the servers failed or were silent',
  'dns.serveStale':
    'how long past its time an answer may be used while the servers do not answer (RFC 8767); `0s`: not at all',
  'dns.maxInFlight':
    'how many names are asked about at once, for each set of servers; others wait their turn',
  'dns.maxNames': 'how many names are remembered',

  'limits.tunnels': 'open connections in all',
  'limits.tunnelsPerDevice': 'open connections of one device',
  'limits.tunnelsPerUser':
    'open connections of all devices whose certificates name the same user (`identity.user`); left out: no limit',
  'limits.connectionsPerDevice':
    'open TLS connections of one device; over HTTP/1.1 each tunnel needs one; left out: twice `limits.tunnelsPerDevice`',
  'limits.newTunnels':
    'new tunnels and requests a second in all; twice as many at once; left out: no limit',
  'limits.newTunnelsPerUser': 'and of one user; left out: no limit',
  'listeners.proxyProtocol':
    'balancers in front say who is calling; off by default, and then a header is no TLS',
  'listeners.proxyProtocol.peers':
    'balancers in front that speak the PROXY protocol, v1 or v2: from them the header is mandatory, nobody else is served',
  'listeners.proxyProtocol.timeout': 'how long its header may take',
  'limits.connectionsPerSource': 'new connections a second from one address; twice as many at once',
  'limits.handshakesPerCertificate':
    'TLS handshakes a second with one certificate; twice as many at once',
  'limits.newTunnelsPerDevice':
    'new tunnels and requests a second of one device; twice as many at once',
  'limits.bytesPerSecondPerDevice':
    "bytes a second of all tunnels and requests of one device together, each way; what is faster is slowed, never refused; a second's worth may move at once; holds for tunnels opened from then on; left out: no limit",
  'limits.bytesPerSecondPerUser':
    'and of all devices whose certificates name the same user (`identity.user`); left out: no limit',
  'limits.bytesPerSecond':
    'and of all devices; each gets an equal part, and what some leave the others share; left out: no limit',
  'limits.streamsPerConnection': 'HTTP/2 streams at once on one connection of a device',
  'limits.unauthenticated': 'connections in all on which no request has been admitted yet',
  'limits.unauthenticatedPerSource': 'and from one address',
  'limits.idleTunnel': 'a tunnel without a byte for so long is closed; a rule may say otherwise',
  'limits.lifetime':
    'a tunnel is closed this long after it was opened, busy or not; a rule may say otherwise; left out: never',
  'limits.idleConnection': 'how long a device connection is kept between requests',
  'limits.handshake': 'how long a TLS handshake may take',
  'limits.head': 'how long the head of a request may take',
  'limits.dial': 'how long connecting may take',
  'limits.firstByte': 'how long the destination of a plain request may take to begin its answer',
  'limits.drain': 'how long tunnels may go on after SIGTERM',

  'admin.listen':
    'health, readiness, metrics, API and webhooks, in plain HTTP: keep it on loopback or behind a proxy with TLS',
  'admin.tokens':
    'bearer tokens of the API; several, so that one can be changed at a time; none: the API refuses everybody',
  'admin.hosts': 'names it may be called by, beside addresses and `localhost`',
  state:
    'where blocks, the last known posture, sessions and refresh tokens are kept over a restart: a file, `memory`, or `postgres://…` for several gateways; see [State](operating.md#state)',
  workers:
    'how many processes carry connections, on the same ports; `auto`: one for each core; see [Workers](operating.md#workers)',
  'log.level': '`debug` adds failed TLS handshakes',
  zones: 'the network zones, for `idp`',
  signOn: 'the sign-on rules, for `idp`',

  'idp.listen': 'where the sign-in service listens, with TLS',
  'idp.issuer':
    'its name, without a path; needed when it listens on every address; left out: the address it listens on',
  'idp.tls.certificate': 'its certificate, a path as above; PEM',
  'idp.tls.key': 'its private key, a path as above; PEM',
  'idp.trustedProxies':
    'reverse proxies in front of it: only they are believed about who comes before them',
  'idp.forwardedField':
    'the one field in which they say so; the other one is not read, because a client could send it',
  'idp.proxyProtocol':
    'balancers in front that say who is calling before TLS begins; off by default, and then a header is no TLS',
  'idp.proxyProtocol.peers':
    'they speak the PROXY protocol, v1 or v2: from them the header is mandatory, nobody else is served',
  'idp.proxyProtocol.timeout': 'how long its header may take',
  'idp.authz': 'the endpoint that proxies ask, `/authz`; see [authz.md](authz.md)',
  'idp.authz.peers':
    'proxies that may ask, each among `idp.trustedProxies`; everybody else is refused',
  'idp.authz.apps': 'the applications they may ask about, as in `clients` of sign-on rules',
  'idp.authz.appField': 'the field that names the application when the path does not',
  'idp.authz.userField':
    'the field in which they say who it is, once they have verified it; left out: nobody is known',
  'idp.authz.groupsField': 'the field with the groups, by comma; left out: those of `idp.users`',
  'idp.authz.signIn': 'where somebody who is not known can sign in; on the page and in the answer',
  'idp.users': 'who may sign in',
  'idp.users[].name': 'the user name',
  'idp.users[].password': 'a scrypt hash, never a password',
  'idp.users[].groups': 'groups, for rules and claims',
  'idp.users[].email': 'for the claim',
  'idp.clients': 'the applications',
  'idp.clients[].id': 'the client id',
  'idp.clients[].name': 'what people see; left out: the id',
  'idp.clients[].public':
    'true for applications that can keep no secret; PKCE is needed either way',
  'idp.clients[].secret': 'the client secret; either this or `public: true`',
  'idp.clients[].redirectUris': 'compared whole, without wildcards',
  'idp.clients[].postLogoutRedirectUris': 'where people may land after signing out',
  'idp.keysFile': 'a path; the signing keys, made at the first start, readable by nobody else',
  'idp.keyRotation':
    'how long a signing key signs: the next is published a day before, the last until nothing it signed is believed; without it only hands change the file; see [Signing keys](operating.md#signing-keys)',
  'idp.cookieSecret':
    'signs cookies, 32 characters at least; of a list the first signs and the others are believed',
  'idp.accessTokenTtl': 'life of access and ID tokens: the longest time between two zone checks',
  'idp.refreshTokenTtl': 'life of refresh tokens',
  'idp.sessionTtl': 'life of a sign-in in the browser',
};

export const zonesMeanings: Readonly<Record<string, string>> = {
  zones: 'the zones',
  'zones[].name': 'how sign-on rules call it',
  'zones[].usage':
    '`POLICY`: for rules; `BLOCKLIST`: nobody from there gets anything; `EXEMPT`: not blocked by a blocklist',
  'zones[].gateways': 'addresses that are in the zone; these, a `feed`, or both',
  'zones[].proxies':
    'addresses that are not in the zone but are believed about the address before them, five hops at most',
  'zones[].feed': "a gateway's own list of its egress addresses, joined with `gateways`",
  'zones[].feed.url': 'its `/api/v1/egress`',
  'zones[].feed.token': 'its admin token',
  'zones[].feed.refresh':
    'how often it is read; when that fails the last good addresses stay in force, and readiness says so',
  'zones[].locations':
    'instead of addresses: the client is in one of these countries (`FI`) or regions (`US-CA`)',
  'zones[].notLocations': 'and in none of these',
  'zones[].asns': 'and its network (ASN) is one of these',
  'zones[].notAsns': 'and none of these',
  'places.countries':
    'a database in MMDB format of countries, or of cities for regions; you bring it; read again when it is replaced, and a broken one changes nothing',
  'places.asns': 'a database of networks, the same way',
};

export const signOnMeanings: Readonly<Record<string, string>> = {
  help: 'where a denied person finds help',
  exceptions: 'people who are let in for a while, whatever the rules say; asked before them',
  'exceptions[].name': 'shown in the log as the rule',
  'exceptions[].users': 'who',
  'exceptions[].clients': 'for these applications; left out: for all',
  'exceptions[].until': 'a moment such as `2026-12-01T00:00:00Z`; from then on it no longer holds',
  'exceptions[].reason': 'why, for the log',
  rules: 'tried from top to bottom; the first whose conditions all hold decides, none denies',
  'rules[].name': 'shown in the log and to testers, not to the person',
  'rules[].people': 'who; left out: everybody',
  'rules[].people.users': 'these users, or',
  'rules[].people.groups': 'members of these groups; neither given: everybody',
  'rules[].people.excludeUsers': 'but not these users',
  'rules[].people.excludeGroups': 'nor members of these groups',
  'rules[].network': 'from where; left out: from anywhere',
  'rules[].network.zones': 'in one of these zones',
  'rules[].network.notZones': 'and in none of these',
  'rules[].clients': 'for these applications; left out: for all',
  'rules[].platforms': 'on these platforms',
  'rules[].device': 'what the device has to be; each `true` or `false`, left out: either',
  'rules[].device.registered': 'known to the company',
  'rules[].device.managed': 'managed by its UEM; only together with `registered: true`',
  'rules[].device.compliant': 'meeting its requirements; only together with `registered: true`',
  'rules[].assurances': 'satisfies one of these device assurance policies, by name',
  'rules[].risks': 'at one of these risks',
  'rules[].access': 'what the rule says',
  'rules[].reportOnly': 'the rule does not decide; the log says what it would have decided',
  'rules[].message': 'what a denied person reads, instead of the standard sentence',
  'rules[].help': 'instead of the `help` of the file',
  tests: 'run by `zonegate check` and before every reload; one failure keeps the file out',
  'tests[].name': 'a sentence',
  'tests[].user': 'who asks',
  'tests[].groups': 'the groups of that user',
  'tests[].address': 'from where; either this',
  'tests[].zones': 'or the zones the user is taken to be in; `[]` for none',
  'tests[].client': 'for which application',
  'tests[].device.platform':
    'the platform of the device; what is left out of the device is not known',
  'tests[].device.registered': 'whether it is known to the company',
  'tests[].device.managed': 'whether it is managed',
  'tests[].device.compliant': 'whether it meets its requirements',
  'tests[].device.assurances': 'the assurance policies it satisfies',
  'tests[].device.risk': 'the risk',
  'tests[].at': 'at which moment, for exceptions; left out: now',
  'tests[].expect': 'what has to come out',
  'tests[].rule': 'and which rule has to say so',
};
