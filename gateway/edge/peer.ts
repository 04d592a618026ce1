// Who is at the other end of a TLS connection, as facts: read once per certificate, then remembered.
import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { LRUCache } from 'lru-cache';
import type { CertificateFacts, PeerFacts } from '../decision/identity.ts';
import { readCertificate } from './certificate.ts';

export interface PeerReaderOptions {
  readonly authorities: readonly X509Certificate[]; // what the listener's `ca` holds
  readonly maxPeers: number; // certificates remembered
  readonly now: () => number;
}

interface Authority {
  readonly x509: X509Certificate;
  readonly chain: readonly CertificateFacts[]; // its own facts, then those above it up to the anchor
}

interface Peer {
  readonly certificate: CertificateFacts;
  readonly issuers: readonly CertificateFacts[];
}

// Measured: 57 µs at most for the certificate, 100 to 360 µs more for what came with it. So the second
// is read only when the issuer of a certificate is not known yet.
const MAX_SENT = 8;
const MAX_AUTHORITIES = 256;

// Make a new reader when the authorities change: what was remembered rests on the old ones.
export function peerReader(options: PeerReaderOptions): (socket: TLSSocket) => PeerFacts {
  const peers = new LRUCache<string, Peer>({ max: options.maxPeers });
  const authorities: Authority[] = options.authorities.flatMap(anchor);
  absorb(authorities, options.authorities);
  return (socket) => {
    const resumed = socket.isSessionReused();
    const x509 = socket.getPeerX509Certificate();
    const verdict = socket.authorized ? 'trusted' : String(socket.authorizationError);
    if (x509 === undefined) return { certificate: null, issuers: [], trust: verdict, resumed };
    const known = peers.get(x509.fingerprint256);
    if (known !== undefined && isInForce(known.issuers, options.now())) {
      return { ...known, trust: verdict, resumed };
    }
    const certificate = readCertificate(x509.raw);
    if (certificate === null) {
      return { certificate, issuers: [], trust: 'UNREADABLE_CERTIFICATE', resumed };
    }
    // Strangers get no signature checked and no place in memory.
    if (verdict !== 'trusted') return { certificate, issuers: [], trust: verdict, resumed };
    const issuers = findIssuers(authorities, x509, socket, options.now());
    // A resumed session was verified under the authorities of its first handshake, not these (T11).
    if (issuers === null && resumed) {
      return { certificate, issuers: [], trust: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', resumed };
    }
    // Node 24.21 hides what the device sent (nodejs/node#65579). OpenSSL has verified it just now, but
    // who issued it cannot be said: with revocation lists that refuses, until `ca` holds the intermediate.
    const peer = { certificate, issuers: issuers ?? [] };
    peers.set(x509.fingerprint256, peer);
    return { ...peer, trust: verdict, resumed };
  };
}

function findIssuers(
  authorities: Authority[],
  x509: X509Certificate,
  socket: TLSSocket,
  now: number,
): readonly CertificateFacts[] | null {
  const known = findIssuer(authorities, x509, now);
  if (known !== null && isInForce(known.chain, now)) return known.chain;
  absorb(authorities, sentCertificates(socket));
  return findIssuer(authorities, x509, now)?.chain ?? null;
}

// Invariant: only certificates whose signature leads to a configured root are in the list. Node's own
// chain goes by names: a device could put a twin of its revoked intermediate there, with another serial.
function absorb(authorities: Authority[], candidates: readonly X509Certificate[]): void {
  for (let added = true; added; ) {
    added = false;
    for (const x509 of candidates) {
      if (!x509.ca || authorities.length >= MAX_AUTHORITIES) continue;
      if (authorities.some((known) => known.x509.fingerprint256 === x509.fingerprint256)) continue;
      const issuer = authorities.find((known) => isIssuedBy(x509, known.x509));
      const facts = readCertificate(x509.raw);
      if (issuer === undefined || facts === null) continue;
      authorities.push({ x509, chain: [facts, ...issuer.chain] });
      added = true;
    }
  }
}

function anchor(x509: X509Certificate): readonly Authority[] {
  const facts = isIssuedBy(x509, x509) ? readCertificate(x509.raw) : null;
  return facts === null ? [] : [{ x509, chain: [facts] }];
}

// Of several authorities with one key (a renewed certificate) the one in force, then the newest.
function findIssuer(
  authorities: readonly Authority[],
  x509: X509Certificate,
  now: number,
): Authority | null {
  const rank = ({ chain }: Authority): number => Number(isInForce(chain, now));
  const age = ({ chain }: Authority): number => chain[0]?.notBefore ?? 0;
  const [best] = authorities
    .filter((authority) => isIssuedBy(x509, authority.x509))
    .sort((a, b) => rank(b) - rank(a) || age(b) - age(a));
  return best ?? null;
}

function isInForce(chain: readonly CertificateFacts[], now: number): boolean {
  return chain.every((link) => link.notBefore <= now && now <= link.notAfter);
}

function isIssuedBy(x509: X509Certificate, issuer: X509Certificate): boolean {
  return x509.checkIssued(issuer) && x509.verify(issuer.publicKey);
}

function sentCertificates(socket: TLSSocket): readonly X509Certificate[] {
  const sent: X509Certificate[] = [];
  let link = socket.getPeerCertificate(true).issuerCertificate;
  while (link !== undefined && sent.length < MAX_SENT) {
    sent.push(new X509Certificate(link.raw));
    if (link.issuerCertificate === link) break; // Node marks the root so
    link = link.issuerCertificate;
  }
  return sent;
}
