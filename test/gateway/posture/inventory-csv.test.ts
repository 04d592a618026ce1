// An inventory as CSV: what spreadsheets write, and what is wrong with a file, by its line.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseInventoryCsv } from '../../../gateway/posture/inventory-csv.ts';

const HEAD = 'udid,enrolled,compliant,compromised';
const GOOD = '6BF0C9A1-0001,true,true,false';

async function devicesOf(text: string) {
  const read = await parseInventoryCsv(text);
  assert.ok(read.ok, JSON.stringify(read));
  return read.devices;
}

test('a line with every column is a device', async () => {
  const text = [
    'udid,serial,user,platform,groups,tags,ownership,osVersion,model,enrolled,compliant,compromised,lastSeen',
    '6BF0C9A1-0001,C02ABC,ann,macos,Staff|"Sales, EMEA",kiosk,corporate,26.10,"MacBook ""Pro""",true,false,false,2026-11-22T08:00:00Z',
  ].join('\n');
  assert.equal((await parseInventoryCsv(text)).ok, false, 'a quote within a field');
  const quoted = text.replace('Staff|"Sales, EMEA"', '"Staff|Sales, EMEA"');
  assert.deepEqual(await devicesOf(quoted), [
    {
      udid: '6bf0c9a1-0001',
      serial: 'C02ABC',
      user: 'ann',
      platform: 'macos',
      groups: ['Staff', 'Sales, EMEA'],
      tags: ['kiosk'],
      ownership: 'corporate',
      osVersion: '26.10',
      model: 'MacBook "Pro"',
      enrolled: true,
      compliant: false,
      compromised: false,
      lastSeen: Date.UTC(2026, 10, 22, 8),
    },
  ]);
});

const written: readonly (readonly [string, string])[] = [
  ['a byte order mark', `\uFEFF${HEAD}\n${GOOD}\n`],
  ['CRLF', `${HEAD}\r\n${GOOD}\r\n`],
  ['no last line end', `${HEAD}\n${GOOD}`],
  ['semicolons', `${HEAD}\n${GOOD}`.replaceAll(',', ';')],
  ['capitals', `UDID,Enrolled,Compliant,Compromised\n6BF0C9A1-0001,TRUE,True,FALSE`],
  ['spaces', `udid, enrolled, compliant ,compromised\n 6BF0C9A1-0001 , true,true, false`],
  ['empty lines', `${HEAD}\n\n${GOOD}\n\n`],
  ['names of two words', `${HEAD},OS version,last_seen\n${GOOD},,\n`],
];

for (const [what, text] of written) {
  test(`a file with ${what} is read`, async () => {
    const [device, ...others] = await devicesOf(text);
    assert.deepEqual([device?.udid, device?.compliant, others.length], ['6bf0c9a1-0001', true, 0]);
    assert.equal(device?.compromised, false);
  });
}

const broken: readonly (readonly [string, string])[] = [
  ['', '1: the column `udid` is missing'],
  ['udid,enrolled,compliant\nabcd,true,true', '1: the column `compromised` is missing'],
  [`${HEAD},complaint\n${GOOD},true`, '1: unknown column `complaint`'],
  [`${HEAD},udid\n${GOOD},abcd`, '1: column `udid` is there twice'],
  [`${HEAD}\n${GOOD}\nabcd,true,true`, '3: expected 4 fields as in the first line, got 3'],
  [`${HEAD}\nabcd,true,,false`, '2: key `compliant` is missing'],
  [`${HEAD}\nabcd,true,yes,false`, '2: expected `true` or `false`, got `yes`'],
  [`${HEAD}\nabcd,1,true,false`, '2: expected `true` or `false`, got `1`'],
  [`${HEAD}\nSystem.Byte[],true,true,false`, '2: expected 4 to 128 letters'],
  [`${HEAD}\n${GOOD}\n6bf0c9a1-0001,true,false,false`, '3: device `6bf0c9a1-0001` is in line 2'],
  [`${HEAD},platform\n${GOOD},beos`, '2: expected `ios`'],
  [`${HEAD},last seen\n${GOOD},yesterday`, '2: expected a date and time'],
  [`${HEAD},model\n${GOOD},"two\nlines"\nabcd,true,true`, '4: expected 5 fields'],
  [`${HEAD}\n${GOOD}\nab"cd,true,true,false`, '3: a quote within a field'],
  [`${HEAD}\n"abcd,true,true,false`, '2: a quote within a field'],
];

for (const [text, expected] of broken) {
  test(`${JSON.stringify(text)} is refused at line ${expected}`, async () => {
    const read = await parseInventoryCsv(text);
    assert.ok(!read.ok);
    const said = read.issues.map(({ line, message }) => `${line}: ${message}`);
    assert.ok(
      said.some((one) => one.startsWith(expected)),
      said.join('\n'),
    );
  });
}

test('a file of another kind does not say so a hundred thousand times', async () => {
  const read = await parseInventoryCsv(`${HEAD}\n${'x\n'.repeat(1000)}`);
  assert.ok(!read.ok);
  assert.equal(read.issues.length, 50);
});

test('a quote that never ends is found in linear time', async () => {
  const read = await parseInventoryCsv(`${HEAD}\n"${'a""'.repeat(1_000_000)}`);
  assert.ok(!read.ok);
});

test('while a large file is read others get their turns', async () => {
  const lines = Array.from({ length: 5000 }, (_, at) => `device-${at},true,true,false`);
  let turns = 0;
  const turn = () => {
    turns += 1;
    next = setImmediate(turn);
  };
  let next = setImmediate(turn);
  const devices = await devicesOf(`${HEAD}\n${lines.join('\n')}`);
  clearImmediate(next);
  assert.equal(devices.length, 5000);
  assert.ok(turns > 0);
});
