// Ways a UEM can fail, for tests: each takes over one API answer.

import type { ServerResponse } from 'node:http';

export type StandInFault =
  | 'down'
  | 'hang'
  | 'drip'
  | '401'
  | '429'
  | '500'
  | 'html'
  | 'empty'
  | 'cut'
  | 'huge'
  | 'redirect'
  | 'other-device'
  | 'string-booleans'
  | 'missing-fields'
  | 'prototype';

export type Json = Record<string, unknown>;

// True when the fault has answered (or never will); false when it only changes the device, by `spoil`.
export function answerBadly(fault: StandInFault, response: ServerResponse, good: string): boolean {
  switch (fault) {
    case 'down':
      response.destroy();
      return true;
    case 'hang':
      return true;
    case 'drip':
      drip(response, good);
      return true;
    case '401':
    case '500':
      response.writeHead(Number(fault), { 'content-type': 'application/json' });
      response.end('{"errorCode":1005,"message":"no"}');
      return true;
    case '429':
      response.writeHead(429, { 'retry-after': '7' }).end();
      return true;
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>We will be back</h1>');
      return true;
    case 'empty':
      response.writeHead(200, { 'content-type': 'application/json' }).end();
      return true;
    case 'cut':
      response.writeHead(200, { 'content-length': good.length });
      response.write(good.slice(0, good.length / 2), () => response.destroy());
      return true;
    case 'huge':
      flood(response, 256 * 1024 * 1024);
      return true;
    case 'redirect':
      response.writeHead(302, { location: '/api/mdm/elsewhere' }).end();
      return true;
    case 'other-device':
    case 'string-booleans':
    case 'missing-fields':
    case 'prototype':
      return false;
  }
}

export function spoil(fault: StandInFault | null, device: Json): Json {
  if (fault === 'other-device')
    return { ...device, Udid: 'ffffffffffffffffffffffffffffffffffffffff' };
  if (fault === 'string-booleans') return { ...device, CompromisedStatus: 'false' };
  if (fault === 'missing-fields') return { Udid: device['Udid'], Id: device['Id'] };
  // The verdicts only in `__proto__`: whoever merges or inherits would believe them.
  if (fault === 'prototype') {
    return JSON.parse(`{"Id":{"Value":1},"__proto__":${JSON.stringify(device)}}`) as Json;
  }
  return device;
}

function drip(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  let sent = 0;
  const timer = setInterval(() => {
    response.write(text.slice(sent, sent + 1));
    sent += 1;
  }, 5);
  response.on('close', () => clearInterval(timer));
}

function flood(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes });
  const chunk = Buffer.alloc(65_536, 0x20);
  const fill = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', fill);
  fill();
}
