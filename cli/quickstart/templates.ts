// The four configuration files that quickstart writes: small, commented, and meant to be edited.

export interface Ports {
  readonly device: number;
  readonly idp: number;
  readonly admin: number;
  readonly uem: number;
}

export interface TemplateValues {
  readonly ports: Ports;
  readonly issuer: string;
  readonly passwordHash: string;
  readonly redirectUri: string;
}

/** The one egress address of quickstart: a loopback address beside 127.0.0.1, so that the IdP can
 *  tell who came through the tunnel without any set-up of the network. */
export const quickstartEgress = '127.0.0.10';
export const idpHost = 'idp.zonegate.test';

export function zonegateYaml({ ports, issuer, passwordHash, redirectUri }: TemplateValues): string {
  return `# zonegate.yaml: listeners, identity, posture, egress, limits, admin, and the sign-in service.
# Paths are relative to this file. Secrets come from files or the environment, never from here.
# After an edit: the running gateway follows by itself; \`zonegate check\` tells what is wrong with it.

name: gw                                  # this gateway in Via and Proxy-Status
help: https://help.example.com/tunnel     # where a refused person finds help

listeners:
  device: 127.0.0.1:${ports.device}               # devices connect here, with their certificate
  # deviceHttp1: 127.0.0.1:${ports.device + 1}        # for clients that break on HTTP/2 proxies (Go, undici)
  # pac: 127.0.0.1:${ports.device + 8}                # PAC files for Chromium; with \`profiles.pacSecret\`

tls:
  certificate: certs/gateway.pem
  key: certs/gateway-key.pem

identity:
  authorities: [certs/device-ca.pem]      # who may issue device certificates
  revocation: [certs/device-ca.crl]       # lists of revoked ones; \`off\` does without
  deviceId: { subject: UID }              # where the certificate holds the UDID
  serial: { subject: serialNumber }
  user: { altName: email }

posture:
  source:                                 # the UEM; quickstart runs a stand-in for it
    kind: workspace-one
    url: http://127.0.0.1:${ports.uem}
    tenantCode: quickstart
    auth:
      kind: oauth
      tokenUrl: http://127.0.0.1:${ports.uem}/connect/token
      clientId: zonegate
      clientSecret: \${file:secrets/uem-client-secret}
  webhook:                                # the UEM tells about changes at /webhooks/workspace-one/uem
    username: uem
    password: \${file:secrets/webhook-password}
  maxReportAge: 60s                       # an older report is asked for again
  whenUnavailable: { graceFor: 15m }      # how long a good report counts while the UEM is down
  admit:                                  # what else has to hold; enrolled, compliant and not compromised always has
    seenWithin: 30d                       # a device must have talked to the UEM since

rules: dtr.yaml

egress:
  default: main
  pools:
    main: [${quickstartEgress}]                    # your fixed public addresses; the zone in the IdP
  # bypass: [192.0.2.7]                   # a non-zone address for BYPASS traffic that arrives anyway

profiles:                                 # what \`zonegate profile\` makes profiles for devices from
  gateway: 127.0.0.1:${ports.device}
  issuer: Zonegate quickstart device CA
  authority: certs/server-ca.pem          # for devices that do not trust the gateway's certificate yet

dns:
  hosts:                                  # names answered here; all others are asked for in DNS
    ${idpHost}: [127.0.0.1]
    metadata.lab.zonegate.test: [169.254.169.254]

admin:
  listen: 127.0.0.1:${ports.admin}
  tokens: ["\${file:secrets/admin-token}"]

zones: zones.yaml
signOn: sign-on.yaml

idp:                                      # the sign-in service; leave it out to run the gateway alone
  listen: 127.0.0.1:${ports.idp}
  issuer: ${issuer}
  tls:
    certificate: certs/idp.pem
    key: certs/idp-key.pem
  keysFile: secrets/idp-keys.json
  cookieSecret: \${file:secrets/cookie-secret}
  users:
    - name: ann                           # the password is in secrets/ann-password
      password: ${passwordHash}
      email: ann@example.com
      groups: [staff]
  clients:
    - id: demo-app
      name: Demo application
      public: true
      redirectUris: ["${redirectUri}"]
`;
}

export function dtrYaml({ ports }: TemplateValues): string {
  return `# dtr.yaml: the device traffic rules. Top to bottom, the first rule that matches decides.
#   TUNNEL  carry it, and leave from an egress address      BYPASS  the device should go direct
#   BLOCK   refuse it                                       PROXY   hand it to a named upstream proxy
# Destinations: host, *tenant.host (also matches eviltenant.host!), *.host (below it), .host (it and
# below), *word*, *, address, CIDR, a-b; each with :port, :port,port or :port-port if wanted.

ruleSets:
  - name: staff
    defaultAction: BYPASS
    rules:
      - id: okta
        action: TUNNEL
        destinations: [".acme.okta.com", ".acme-admin.okta.com", "*.oktacdn.com"]
        description: the company's Okta tenant
      - id: microsoft-login
        action: TUNNEL
        destinations:
          - login.microsoftonline.com
          - login.microsoft.com
          - login.windows.net
          - sts.windows.net
          - "*.msauth.net"
          - "*.msftauth.net"
        description: Microsoft sign-in hosts
      - id: quickstart-idp
        action: TUNNEL
        destinations: ["${idpHost}:${ports.idp}"]
        open: [127.0.0.1]                 # this rule, and no other, may reach a loopback address
        description: the sign-in service that quickstart runs
      - id: lab
        action: TUNNEL
        destinations: ["*.lab.zonegate.test"]
        description: shows that a tunnelled name still cannot lead to cloud metadata
      - id: forbidden
        action: BLOCK
        destinations: [".gambling.example"]
      - id: everything-else
        action: BYPASS
        destinations: ["*"]

# Run by \`zonegate check\` and before every reload: when one fails, the file is not taken.
tests:
  - name: sign-in goes through the tunnel
    accept: ["acme.okta.com:443", "login.microsoftonline.com:443", "${idpHost}:${ports.idp}"]
    deny: ["www.example.com:443", "www.gambling.example:443"]
  - name: nobody else's Okta tenant does
    exact:
      - { target: "evilacme.okta.com:443", action: BYPASS, rule: everything-else }
`;
}

export function zonesYaml({ ports }: TemplateValues): string {
  return `# zones.yaml: network zones, as an IdP knows them. An address is in a zone when it is one of its
# gateways, or when every hop on the way to one is a declared proxy.

zones:
  - name: egress
    gateways: []                          # addresses, CIDRs, a-b; beside those of the feed
    feed:                                 # the gateway says from which addresses its tunnels leave
      url: http://127.0.0.1:${ports.admin}/api/v1/egress
      token: \${file:secrets/admin-token}
`;
}

export function signOnYaml(): string {
  return `# sign-on.yaml: who may sign in from where. The first rule whose conditions all hold decides; after the
# last rule everybody is denied. Judged at sign-in and again at every token refresh.

help: https://help.example.com/sign-in

rules:
  - name: staff through the tunnel
    people: { groups: [staff] }
    network: { zones: [egress] }
    access: ALLOW
  - name: everybody else
    access: DENY
    message: Sign-in works only on a healthy company device, through the tunnel.

tests:
  - { name: staff in the zone, user: ann, groups: [staff], zones: [egress], client: demo-app, expect: ALLOW }
  - { name: staff outside, user: ann, groups: [staff], zones: [], client: demo-app, expect: DENY }
  - { name: a guest in the zone, user: guest, zones: [egress], client: demo-app, expect: DENY }
`;
}
