// A PEM bundle of device authorities: what it holds, and every member of it that is no authority.

import { X509Certificate } from 'node:crypto';

export interface Bundle {
  readonly authorities: readonly { readonly pem: string; readonly notAfter: number }[];
  readonly troubles: readonly string[];
}

const begin = '-----BEGIN CERTIFICATE-----';
const end = '-----END CERTIFICATE-----';

/** Text around the certificates is ignored; a certificate that is cut short, or is none, is not: an authority
 *  that is silently missing refuses all its devices. */
export function readBundle(text: string, file: string): Bundle {
  const blocks = text.split(begin).slice(1);
  if (blocks.length === 0)
    return { authorities: [], troubles: [`\`${file}\` holds no certificate`] };
  const authorities: { pem: string; notAfter: number }[] = [];
  const troubles: string[] = [];
  for (const [i, block] of blocks.entries()) {
    const pem = `${begin}${block.split(end)[0]}${end}\n`;
    const certificate = block.includes(end) ? readCertificate(pem) : null;
    const name =
      blocks.length === 1
        ? `the certificate in \`${file}\``
        : `certificate ${i + 1} of \`${file}\``;
    if (certificate === null) troubles.push(`${name} cannot be read`);
    else if (!certificate.ca) troubles.push(`${name} is not an authority`);
    else authorities.push({ pem, notAfter: certificate.validToDate.getTime() });
  }
  return { authorities, troubles };
}

function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
