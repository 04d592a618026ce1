// Owns writing property lists, as Apple's systems read them.

export type PlistValue =
  | string
  | boolean
  | number
  | Uint8Array
  | readonly PlistValue[]
  | { readonly [key: string]: PlistValue };

const head = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`;

export function plistText(value: PlistValue): string {
  return `${head}${element(value, '')}</plist>\n`;
}

function element(value: PlistValue, indent: string): string {
  const inside = `${indent}  `;
  if (typeof value === 'string') return `${indent}<string>${escapeXml(value)}</string>\n`;
  if (typeof value === 'boolean') return `${indent}<${value}/>\n`;
  if (typeof value === 'number') return `${indent}<integer>${value}</integer>\n`;
  if (value instanceof Uint8Array) {
    const base64 = btoa(Array.from(value, (byte) => String.fromCharCode(byte)).join(''));
    return `${indent}<data>${base64}</data>\n`;
  }
  if (isList(value)) {
    const items = value.map((item) => element(item, inside)).join('');
    return `${indent}<array>\n${items}${indent}</array>\n`;
  }
  const members = Object.entries(value).map(
    ([key, item]) => `${inside}<key>${escapeXml(key)}</key>\n${element(item, inside)}`,
  );
  return `${indent}<dict>\n${members.join('')}${indent}</dict>\n`;
}

function isList(value: PlistValue): value is readonly PlistValue[] {
  return Array.isArray(value);
}

/** For text and for attributes; what XML 1.0 cannot hold is replaced. */
export function escapeXml(text: string): string {
  return (
    text
      .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
      .replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`)
      // A parser turns a bare carriage return into a line feed.
      .replaceAll('\r', '&#13;')
  );
}
